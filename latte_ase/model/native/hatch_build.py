"""Build step: the native kernel is compiled where there is a C++ compiler; without one the package is pure Python."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileKernel(BuildHookInterface):
    """Compiles `src` into `lib`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Libraries into the source tree, from which an editable installation takes them, and into the wheel."""
        try:
            made = runpy.run_path(str(Path(__file__).with_name("build.py")))["build"]()
        except RuntimeError as error:
            self.app.display_warning(f"latte_ase without its native kernel, about three times slower on CPUs: {error}")
            return
        build_data["force_include"] |= {str(path): str(path.relative_to(self.root)) for path in made}
        build_data["pure_python"], build_data["infer_tag"] = False, True
