"""Compilation of the native kernel: `python latte_ase/model/native/build.py`, and when the package is installed.

Needs a C++17 compiler (`CXX`, or c++, g++ or clang++), and jaxlib for the headers of its interface of foreign functions.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-shared",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-w",
)


def compiler() -> str:
    """Path of the C++ compiler, or "" where there is none."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((path for name in names if (path := shutil.which(name))), "")


def headers() -> str:
    """Folder of the headers of jaxlib, or "" where it is not installed."""
    try:
        import jaxlib
    except ImportError:
        return ""
    return str(Path(jaxlib.__file__).parent / "include")


def build(folder: Path = HERE / "lib") -> list[Path]:
    """Libraries for the sets of instructions of this family of processors, and the checksum of their sources.

    Those that the compiler cannot make are left out.

    Raises:
        RuntimeError: there is no compiler, no jaxlib, no set of instructions for this processor, or none that compiles.
    """
    tool, include = compiler(), headers()
    if not tool:
        raise RuntimeError("No C++ compiler was found (c++, g++, clang++, or the one that CXX names).")
    if not include:
        raise RuntimeError("jaxlib is not installed, whose headers the kernel needs.")
    instructions = runpy.run_path(str(HERE / "instructions.py"))
    folder.mkdir(exist_ok=True)
    made, said = [], "there is no set of instructions for this family of processors"
    for name in instructions["of_machine"]():
        target = folder / f"latte_{name}.so"
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            part = Path(scratch) / target.name
            command = [tool, *OPTIONS, *instructions["SETS"][name], f"-DLATTE_NAME={name}", "-isystem", include]
            done = subprocess.run(
                [*command, str(HERE / "src" / "kernel.cc"), "-o", str(part)], capture_output=True, text=True
            )
            if done.returncode == 0:
                part.replace(target)
                made.append(target)
            said = done.stderr[-2000:]
    if not made:
        raise RuntimeError(f"{tool} could not compile the kernel:\n{said}")
    checksum = folder / "sources.sha256"
    checksum.write_text(instructions["of_sources"]())
    return [*made, checksum]


if __name__ == "__main__":
    for path in build():
        print(path)
