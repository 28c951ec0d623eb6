"""A careless administrator, who runs the host script on the server's own machine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.attack.site import INSTANCE, Site
from tests.attack.trial import Family, Outcome, Trial
from tests.e2e.machines import Machine, missing_for_machines

_SUMS: Final = (
    "for d in /etc/hatchway /var/lib/hatchway; do"
    " find $d -printf '%p %y %m %u:%g\\n' -type f -exec sha256sum {} + 2>/dev/null; done | LC_ALL=C sort"
)


def host_script_on_the_server(site: Site) -> Outcome:
    """Installs and uninstalls, in a machine that has a server's files where they always are."""
    missing = missing_for_machines()
    if missing:
        return Outcome(None, f"not tried: {missing}")
    script = site.command("host", "script", INSTANCE, "--api-url", site.api_url)
    if script.returncode != 0:
        return Outcome(False, script.stderr.strip())
    with tempfile.TemporaryDirectory(prefix="hatchway-attack-") as layers:
        machine = Machine("server", Path(layers))
        try:
            return _runs(machine, script.stdout)
        finally:
            machine.stop()


def _runs(machine: Machine, script: str) -> Outcome:
    hatchway = [sys.executable, "-m", "hatchway"]
    machine.run([*hatchway, "init", "--data-dir", "/var/lib/hatchway"], check=True)
    machine.run(["sh", "-c", "mkdir -p /etc/hatchway && echo kept >/etc/hatchway/server.env"], check=True)
    before = machine.run(["sh", "-c", _SUMS], check=True).stdout
    told = []
    for what, arguments in (("install", []), ("uninstall", ["--uninstall"]), ("install again", [])):
        done = machine.run(["sh", "-s", "--", *arguments], input=script)
        after = machine.run(["sh", "-c", _SUMS], check=True).stdout
        changed = len(set(before.splitlines()) ^ set(after.splitlines()))
        told.append((what, done.returncode, changed))
    files = len(before.splitlines())
    words = ", ".join(f"{what} (exit {status}): {changed} changed" for what, status, changed in told)
    return Outcome(
        not any(changed for *_, changed in told), f"{files} of the server's files and directories; {words}"
    )


FAMILY: Final = Family(
    "machines",
    "A careless administrator",
    [
        Trial(
            "host_script_on_the_server",
            "runs the host script, and its `--uninstall`, on the server's own machine",
            "nothing that belongs to the server is changed",
            host_script_on_the_server,
        )
    ],
)
