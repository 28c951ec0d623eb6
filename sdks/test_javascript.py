"""The AWS SDK for JavaScript, version 3, against a control plane: `make test-sdks`."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.control.harness import ACCOUNT, INSTANCE, REGION, SUBNET, World

HERE = Path(__file__).parent / "javascript"
CALLS = HERE / "calls.test.mjs"
MADE = Path(".cache/sdks/javascript")
"""Where `sdks/setup` installs the SDK."""
OLDEST_NODE = 20
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII/UQTo0IOgqf08pw8nQ30OHuyubH0fE2z5xb/DMbl1X me@here"
NAMES = re.findall(r'^test\("(.*)",', CALLS.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def node() -> str:
    """The program that runs JavaScript."""
    for found in (shutil.which("node"), ".cache/sdks/node/bin/node"):
        if found is not None and Path(found).exists() and _version(found) >= OLDEST_NODE:
            return found
    raise AssertionError(f"node {OLDEST_NODE} or later is missing: run make test-sdks, which sets it up")


def _version(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.lstrip("v").partition(".")[0])


@pytest.mark.parametrize("name", NAMES)
def test_javascript(world: World, node: str, name: str) -> None:
    shutil.copy(CALLS, MADE)
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": world.root.access_key_id,
        "AWS_SECRET_ACCESS_KEY": world.root.secret,
        "AWS_ENDPOINT_URL": world.shared_server.url,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NODE_EXTRA_CA_CERTS": str(world.shared_server.ca),
        "ACCOUNT": ACCOUNT,
        "INSTANCE": INSTANCE,
        "SUBNET": SUBNET,
        "PUBLIC_KEY": PUBLIC_KEY,
    }
    ran = subprocess.run(
        [node, "--test-reporter=tap", f"--test-name-pattern=^{re.escape(name)}$", CALLS.name],
        cwd=MADE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "# pass 1\n" in ran.stdout, ran.stdout
