"""The order in which the package is read is the order in which it imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import latte_ase

# a module imports modules of the lines above its own, at its top level; imports inside functions are free
ORDER = """
    radial neighbours startup memory compilation committee fork stats
    graph domain sparsity
    molecules
    batching
    multicore
    moments.tensors
    moments.xla
    moments.fused moments.weighted
    moments
    contractions.notation
    contractions.tables contractions.traces
    contractions.evaluate
    contractions.independence
    contractions
    descriptors.base
    descriptors.*
    descriptors
    networks repulsion
    potential
    rounds
    derivatives
    compiled
    kernels
    placed
    lists
    engine
    chunks
    architecture_io atomic_file
    model_io dataset
    pretrained
    calculator ase_plugin
    prediction
    evaluation
    training.config training.progress training.checkpoint training.plausibility
    uncertainty.assessment
    uncertainty.last_layer uncertainty.ensemble uncertainty.observers uncertainty.selection
    uncertainty
    plots
    training.identity training.loss training.parametrisation training.reference_energies
    training.consistency training.optimiser
    training.step training.batches
    training.initial
    training.loop
    training
    finetuning.elements finetuning.replay finetuning.strategies finetuning.result
    finetuning.finetune
    finetuning
    testing.report testing.tolerances testing.samples testing.find
    testing.subject
    testing.derivatives testing.invariances testing.smoothness testing.contract
    testing.suite
    testing
    simulate.state
    simulate.ensembles.base
    simulate.ensembles.nve simulate.ensembles.langevin simulate.ensembles.bussi simulate.ensembles.nose_hoover
    simulate.ensembles.cell_rescaling
    simulate.ensembles
    simulate.chunk simulate.system
    simulate.run simulate.progress
    simulate.output
    simulate.checkpoint
    simulate.dynamics
    simulate
    cli
"""
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
MAY_DIFFERENTIATE = {"derivatives", "rounds", "moments.fused", "moments.xla", "training.step", "uncertainty.last_layer"}


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


def levels():
    """{module: line of ORDER}; descriptors are a family, each is on its line without being named."""
    found = {}
    for level, line in enumerate(ORDER.strip().splitlines()):
        for name in line.split():
            family = [m for m in TREES if m.rpartition(".")[0] == name.removesuffix(".*") and m not in ORDER.split()]
            found |= dict.fromkeys(family if name.endswith(".*") else [name], level)
    return found


LEVEL = levels()


def imported(statements):
    """Names of modules of the package that these statements import, absolute; also inside try and if."""
    for node in statements:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, (ast.If, ast.Try)) and "TYPE_CHECKING" not in ast.unparse(node):
            yield from imported([*node.body, *node.orelse, *getattr(node, "finalbody", [])])
            continue
        else:
            continue
        for name in names:
            if name.startswith("latte_ase."):
                short = name.removeprefix("latte_ase.")
                yield short if short in TREES else short.rpartition(".")[0]


def test_every_module_has_its_place_in_the_order():
    assert set(TREES) == set(LEVEL)


@pytest.mark.parametrize("module", sorted(TREES))
def test_imports_run_downwards_only(module):
    upwards = [name for name in imported(TREES[module].body) if LEVEL[name] >= LEVEL[module]]
    assert not upwards, f"{module} imports {upwards}"


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
    assert {module for module, name in calls if name in ("jax.config.update", "config.update")} == {"startup"}


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
