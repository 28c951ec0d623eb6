"""A step of the build (hatchling: "Custom build hook"): notes in what is built which commit that was.

With the variable HATCHWAY_BUILD_CORE=on it puts the compiled core into the wheel too, which then suits
machines of this one's kind alone: its processor, its C library, its OpenSSL.
"""

import os
import runpy
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """The note goes into sdists too: a wheel that is built from one has no repository to ask."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        package = Path(self.root) / "src" / "hatchway"
        program = runpy.run_path(str(package / "commit.py"))
        commit = program["built_from"]()
        # An editable installation is a checkout, which may be at another commit tomorrow; and where the note
        # is there already, it goes along by itself.
        self._directory = tempfile.TemporaryDirectory(prefix="hatchway-build-")
        if (
            self.target_name == "wheel"
            and version != "editable"
            and os.environ.get("HATCHWAY_BUILD_CORE") == "on"
        ):
            self._build_core(build_data)
        if commit is None or version == "editable" or (package / program["NOTE"]).exists():
            return
        note = Path(self._directory.name) / program["NOTE"]
        note.write_text(f"{commit}\n", encoding="ascii")
        where = "hatchway" if self.target_name == "wheel" else "src/hatchway"
        build_data["force_include"][str(note)] = f"{where}/{note.name}"

    def _build_core(self, build_data: dict[str, Any]) -> None:
        program = runpy.run_path(str(Path(self.root) / "scripts" / "build_core.py"))
        core = Path(self._directory.name) / program["NAME"]
        program["build"](Path(self.root), core)
        build_data["force_include"][str(core)] = f"hatchway/transport/core/{core.name}"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"cp311-abi3-{platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_directory"):
            self._directory.cleanup()
