"""A step of the build (hatchling: "Custom build hook"): notes in what is built which commit that was."""

import runpy
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
        if commit is None or version == "editable" or (package / program["NOTE"]).exists():
            return
        self._directory = tempfile.TemporaryDirectory(prefix="hatchway-build-")
        note = Path(self._directory.name) / program["NOTE"]
        note.write_text(f"{commit}\n", encoding="ascii")
        where = "hatchway" if self.target_name == "wheel" else "src/hatchway"
        build_data["force_include"][str(note)] = f"{where}/{note.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_directory"):
            self._directory.cleanup()
