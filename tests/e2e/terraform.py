"""The real Terraform with its real provider for AWS, in a directory, with a control plane to talk to.

The provider is one process for all runs of a module: loading it anew costs each run more than its work does.
Terraform is told where it is (Terraform: "Plugin debugging", `TF_REATTACH_PROVIDERS`).
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.e2e.processes import Process
from tests.programs import find

PROVIDER: Final = "hashicorp/aws"
"""Of the public registry, whose name a mirror has before it as a folder."""
VERSION: Final = "5.100.0"
_MIRRORS: Final = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/opt/*",
)
"""Where a mirror of providers may be, besides the folder that an environment variable names: those in which
Terraform itself looks (Terraform: "Implied local mirror directories"), and those of /opt."""

_HEAD: Final = f"""
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws", version = "{VERSION}" }}
  }}
}}
"""


class TerraformMissingError(Exception):
    """Terraform, or its provider, cannot be had here; the message says which."""


def find_terraform() -> tuple[Path, Path]:
    """The programs of Terraform and of the provider.

    Raises:
        TerraformMissingError: one of them is not here.
    """
    program = find("terraform")
    if program is None:
        raise TerraformMissingError("terraform is missing: install Terraform 1.5 or newer")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    below = f"{PROVIDER}/{VERSION}/linux_{machine}"
    for root in _mirrors():
        for provider in sorted(root.glob(f"*/{below}/terraform-provider-aws_*")):
            return Path(program), provider
    raise TerraformMissingError(
        f"Terraform's provider hashicorp/aws {VERSION} is missing: unpack it at {below} in a folder for"
        " providers, such as ~/.terraform.d/plugins, or in the one that TF_PLUGIN_CACHE_DIR names"
    )


def _mirrors() -> Iterator[Path]:
    if cache := os.environ.get("TF_PLUGIN_CACHE_DIR"):
        yield Path(cache)
    for pattern in _MIRRORS:
        path = Path(pattern).expanduser()
        yield from sorted(path.parent.glob(path.name))


@dataclass(frozen=True)
class Change:
    """What is planned for one resource, such as `update` for `aws_iam_user.alice`."""

    action: str
    address: str


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes:
        planned: what it meant to do; nothing for what it left as it was.
        summary: how many resources it has added, changed, removed and imported.
        outputs: the outputs' values.
    """

    planned: frozenset[Change]
    summary: Mapping[str, int]
    outputs: Mapping[str, Any]

    def of(self, action: str) -> set[str]:
        """The addresses for which an action was planned."""
        return {change.address for change in self.planned if change.action == action}


@dataclass(frozen=True)
class Terraform:
    """Terraform in a directory of its own, with its state there."""

    program: Path
    directory: Path
    environment: Mapping[str, str] = field(repr=False)

    def write(self, configuration: str, provider: str = "") -> None:
        """Makes this the configuration, which need not name the provider; `provider` is what it is told."""
        told = f'provider "aws" {{\n{provider}\n}}\n'
        (self.directory / "main.tf").write_text(_HEAD + told + configuration)

    def plan(self) -> Run:
        return self._run("plan", "-json", "-input=false")

    def apply(self) -> Run:
        return self._run("apply", "-json", "-input=false", "-auto-approve")

    def destroy(self) -> Run:
        return self._run("destroy", "-json", "-input=false", "-auto-approve")

    def forget(self, *addresses: str) -> None:
        """Takes resources out of the state, without touching them."""
        self._terraform("state", "rm", *addresses)

    def _run(self, *arguments: str) -> Run:
        printed = self._terraform(*arguments)
        messages = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        planned = [message["change"] for message in messages if message["type"] == "planned_change"]
        summaries = [message["changes"] for message in messages if message["type"] == "change_summary"]
        outputs = [message["outputs"] for message in messages if message["type"] == "outputs"]
        return Run(
            frozenset(Change(change["action"], change["resource"]["addr"]) for change in planned),
            {what: count for what, count in summaries[-1].items() if isinstance(count, int)},
            {name: output.get("value") for name, output in outputs[-1].items()} if outputs else {},
        )

    def _terraform(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.program, *arguments], cwd=self.directory, env=dict(self.environment), capture_output=True,
            text=True, timeout=540, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"terraform {arguments[0]}:\n{_told(done.stdout)}\n{done.stderr}"
        return done.stdout


def _told(printed: str) -> str:
    """What a run says of errors and warnings; all of it when that is nothing."""
    messages = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    told = [
        f"{message['diagnostic']['summary']}\n{message['diagnostic'].get('detail', '')}"
        for message in messages
        if message["type"] == "diagnostic"
    ]
    return "\n".join(told) or printed


@contextmanager
def terraform(directory: Path, *, ca_certificate: Path, aws: Mapping[str, str]) -> Iterator[Terraform]:
    """Terraform as a user of the API has it; its provider runs until the end.

    Args:
        aws: the variables by which it finds credentials and the API.

    Raises:
        TerraformMissingError: it, or the provider, is not here.
    """
    program, provider = find_terraform()
    # Nothing of the environment of whoever runs the tests: neither credentials, nor settings, nor a proxy.
    environment = {
        "HOME": str(directory),
        "PATH": "/usr/bin:/bin",
        "AWS_REGION": "us-east-1",
        **aws,
        # As in the system's trust store: AWS_CA_BUNDLE the provider takes for its first run only.
        "SSL_CERT_FILE": str(ca_certificate),
        "AWS_EC2_METADATA_DISABLED": "true",
        "TMPDIR": str(directory),
        "CHECKPOINT_DISABLE": "1",
    }
    running = Process([str(provider), "-debug"], directory / "provider.log", environment)
    try:
        running.wait_for("TF_REATTACH_PROVIDERS='")
        found = re.search(r"TF_REATTACH_PROVIDERS='([^']+)'", running.output())
        assert found is not None, running.output()
        yield Terraform(program, directory, {**environment, "TF_REATTACH_PROVIDERS": found[1]})
    finally:
        running.kill()
