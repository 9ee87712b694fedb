"""The order in which the package is read is the order in which it imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import latte_ase

ROOMS = [
    "settings",
    "geometry",
    "model",
    "engine",
    "io",
    "calculator",
    "ase_plugin",
    "prediction",
    "evaluation",
    "plots",
    "training",
    "finetuning",
    "uncertainty",
    "simulate",
    "live",
    "labelling",
    "distillation",
    "testing",
    "cli",
]
"""In the order of the data flow: what stands in one imports from those before it and from its own."""

DIFFERENTIATION = [
    "grad",
    "value_and_grad",
    "vjp",
    "jvp",
    "jacobian",
    "jacrev",
    "jacfwd",
    "hessian",
    "linearize",
    "linear_transpose",
    "custom_vjp",
    "custom_jvp",
]
MAY_DIFFERENTIATE = {
    "model.derivatives",
    "model.message_passing",
    "model.moments.fused",
    "model.moments.xla",
    "training.step",
    "uncertainty.last_layer",
}


def package():
    """{module name without latte_ase: syntax tree}; the root is not among them, it imports on first use."""
    root = Path(latte_ase.__file__).parent
    trees = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            trees[name] = ast.parse(path.read_text())
    return trees


TREES = package()


def imported(tree):
    """Modules of the package that one imports, be it in a function; not what only type checkers see."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "latte_ase":
            for alias in node.names:
                public = latte_ase._WHERE.get(alias.name) if node.module == "latte_ase" else None
                name = (public or f"{node.module}.{alias.name}").removeprefix("latte_ase.")
                name = name if name in TREES else name.rpartition(".")[0]
                if name:  # otherwise something of the root, such as the version
                    yield name


@pytest.mark.parametrize("module", sorted(TREES))
def test_imports_run_downwards_only(module):
    room = ROOMS.index(module.split(".")[0])
    upwards = [name for name in imported(TREES[module]) if ROOMS.index(name.split(".")[0]) > room]
    assert not upwards, f"{module} imports {upwards}"


def test_no_circle():
    TopologicalSorter({module: set(imported(tree)) - {module} for module, tree in TREES.items()}).prepare()


def test_few_files_differentiate():
    """Of derivatives of the energy there is one implementation, so that there is one to test."""
    found = set()
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            from_jax = isinstance(node, ast.ImportFrom) and node.module == "jax"
            names = [alias.name for alias in node.names] if from_jax else []
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "jax":
                names.append(node.attr)
            if set(names) & set(DIFFERENTIATION):
                found.add(module)
    assert found == MAY_DIFFERENTIATE


def test_nobody_changes_the_configuration_of_jax_but_on_request():
    """`use_compilation_cache` is that request: a function that does nothing else."""
    calls = [
        (module, ast.unparse(node.func))
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]
    assert ("training.step", "jax.grad") in calls
    assert {module for module, name in calls if name in ("jax.config.update", "config.update")} == {
        "io.compilation_cache"
    }


def test_the_package_alone_imports_neither_jax_nor_ase():
    code = "import sys, latte_ase; print({'jax', 'ase', 'numpy'} & set(sys.modules), dir(latte_ase))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("set()")
    assert "LatteCalculator" in result.stdout


def test_public_names_are_there():
    for name in latte_ase.__all__:
        assert getattr(latte_ase, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Calculator'"):
        latte_ase.Calculator  # noqa: B018


def test_no_name_stands_for_two_things():
    """Classes and constants of modules."""
    places: dict[str, list[str]] = {}
    for module, tree in TREES.items():
        for node in tree.body:
            names = [node.name] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.Assign):
                names = [t.id for t in node.targets if isinstance(t, ast.Name) and t.id.isupper()]
            for name in names:
                places.setdefault(name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}
