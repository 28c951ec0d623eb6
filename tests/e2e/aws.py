"""The official AWS CLI 2, run on a machine with an environment and a home directory of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from tests.e2e.machines import ENVIRONMENT, Machine

REPOSITORY = Path(__file__).parents[2]


class AwsCliMissingError(Exception):
    """The AWS CLI cannot be had here; the message says why."""


def find_aws_cli() -> Path:
    """The path of the `aws` program, downloaded to the user's cache when it is not there yet.

    Raises:
        AwsCliMissingError: when it cannot be had.
    """
    script = REPOSITORY / "scripts" / "fetch_program.py"
    fetched = subprocess.run([sys.executable, script, "aws"], capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        raise AwsCliMissingError(fetched.stderr.strip())
    return Path(fetched.stdout.strip())


@dataclass(frozen=True)
class AwsCli:
    """The CLI as one user of a machine has it.

    Attributes:
        program: the path of `aws`.
        machine: where it runs. It sees the machine's /etc/hosts and trust store.
        home: the user's home directory, as the machine sees it; the profile files go to `.aws` there.
        environment: what it has besides `HOME` and `PATH`, such as `AWS_ENDPOINT_URL`.
    """

    program: Path
    machine: Machine
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def having(self, **environment: str) -> Self:
        """The same with more in its environment."""
        return replace(self, environment={**self.environment, **environment})

    def with_key(self, access_key_id: str, secret_access_key: str) -> Self:
        """The same with the credentials of an access key."""
        return self.having(AWS_ACCESS_KEY_ID=access_key_id, AWS_SECRET_ACCESS_KEY=secret_access_key)

    @property
    def full_environment(self) -> dict[str, str]:
        """All of its environment. `aws` is in the `PATH`, for an ssh that has it as its ProxyCommand."""
        return {
            "HOME": str(self.home),
            "PATH": f"{self.program.parent}:{ENVIRONMENT['PATH']}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            **self.environment,
        }

    def run(
        self,
        *arguments: str,
        timeout: float = 60,
        check: bool = False,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `aws ARGUMENTS…`; see `Machine.run`.

        A tunnel that fails before it has an HTTP answer (name, TCP or TLS) makes the CLI wait for ever: only
        the timeout ends it then.
        """
        argv = [str(self.program), *arguments]
        return self.machine.run(argv, env=self.full_environment, timeout=timeout, check=check, input=input)

    def json(self, *arguments: str, timeout: float = 60) -> Any:
        """Run `aws ARGUMENTS… --output json`, which must succeed; return its answer, if it has one."""
        printed = self.run(*arguments, "--output", "json", timeout=timeout, check=True).stdout
        return json.loads(printed) if printed.strip() else None
