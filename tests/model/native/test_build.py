"""Compilation of the native kernel, and where it cannot be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from latte_ase.model.native import build, instructions, library


def test_without_a_compiler_the_message_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match=r"No C\+\+ compiler was found"):
        build.build(tmp_path / "lib")


def test_what_the_compiler_says_is_shown(monkeypatch, tmp_path):
    tool = tmp_path / "c++"
    tool.write_text("#!/bin/sh\necho 'no such option' >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("CXX", str(tool))
    with pytest.raises(RuntimeError, match="could not compile the kernel:\nno such option"):
        build.build(tmp_path / "lib")
    assert list((tmp_path / "lib").iterdir()) == []


def test_a_processor_of_another_family_gets_no_library(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", sys.executable)  # any command that is there
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(RuntimeError, match="no set of instructions for this family of processors"):
        build.build(tmp_path / "lib")


@pytest.mark.parametrize("changed", ["other sources", None])
def test_a_library_of_other_sources_is_not_loaded(monkeypatch, tmp_path, changed):
    if changed:
        (tmp_path / "sources.sha256").write_text(changed)
    (tmp_path / "latte_sse4.so").write_bytes(b"")
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    monkeypatch.setattr(library, "_registered", lambda path, name: pytest.fail("it was loaded"))
    assert library.load.__wrapped__() == ""


def test_sets_that_the_processor_lacks_are_not_supported(monkeypatch):
    instructions.supported.cache_clear()
    monkeypatch.setattr(instructions.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(instructions, "_flags", lambda: instructions.NEEDS["sse4"] | {"avx2"})
    found = {name: instructions.supported(name) for name in instructions.SETS}
    instructions.supported.cache_clear()
    assert found == {"avx512": False, "avx2": False, "sse4": True, "neon": False}


def test_without_a_library_the_kernel_of_jax_runs(tmp_path):
    code = (
        "import pathlib, latte_ase.model.native.library as library\n"
        f"library.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        "from ase.build import bulk\n"
        "from latte_ase import LatteCalculator\n"
        "atoms = bulk('Cu')\n"
        "atoms.calc = LatteCalculator.from_pretrained('latte-cu')\n"
        "atoms.get_potential_energy()\n"
        "print(atoms.calc.stats.kernel)\n"
        "try:\n"
        "    LatteCalculator.from_pretrained('latte-cu', kernel='native')\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = result.stdout.strip().splitlines()
    assert first == "xla"
    assert "its library was not built for this processor when the package was installed" in second
