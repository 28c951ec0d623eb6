"""What is done with an account as a whole, in either store: `apply`, and the start of a gateway."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.api.account import ACCOUNT, REGION, Size, fill
from bench.api.beside import HATCHWAY
from bench.api.scale import stores

from hatchway.keys.key_files import read_master_keys
from hatchway.keys.vault import Vault
from hatchway.settings import DataDirectory
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

_PER_SUBNET = 1000


def measure(backend: str, applied: int, large: Size) -> Mapping[str, float]:
    """Seconds by the clock."""
    with (
        stores(backend) as new_store,
        TemporaryDirectory(prefix="hatchway-bench-") as first,
        TemporaryDirectory(prefix="hatchway-bench-") as other,
    ):
        # Not before: it makes an installation in an empty directory alone.
        store_of_first = _init(first, new_store())
        fleet = Path(first, "fleet.json")
        fleet.write_text(json.dumps(_fleet(applied)))
        apply = (*HATCHWAY, "apply", *store_of_first, str(fleet), "--json")
        took = {f"apply of {applied:,} instances": _timed(apply, "created")}
        took["the same file again"] = _timed(apply, "created", expected=0)
        took[f"gateway start with {applied:,} instances"] = _gateway_start(*store_of_first)
        url = new_store()
        store_of_other = _init(other, url)
        store = Store.open(url)
        vault = Vault(*read_master_keys(DataDirectory(Path(other)).master_key, {}).all)
        fill(store, vault, Size(large.instances, large.users, 1), new=False)
        store.close()
        start = f"gateway start with {large.instances:,} instances, {large.users:,} users"
        took[start] = _gateway_start(*store_of_other)
    return took


def _init(path: str, url: str) -> tuple[str, ...]:
    """The options that tell where the installation is."""
    options = ("--data-dir", path, "--store-url", url)
    init = ("init", *options, "--account", ACCOUNT, "--region", REGION)
    subprocess.run([*HATCHWAY, *init], check=True, stdout=subprocess.DEVNULL)
    return options


def _timed(command: tuple[str, ...], counted: str, expected: int | None = None) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took = time.perf_counter() - began
    if expected is not None and f'"{counted}": {expected}' not in done.stdout:
        raise RuntimeError(done.stdout[-500:])
    return took


def _gateway_start(*store: str) -> float:
    began = time.perf_counter()
    command = [*HATCHWAY, "gateway", *store, "--gateway", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith(b"ready"):
            raise RuntimeError("the gateway did not start")
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _fleet(instances: int) -> Mapping[str, object]:
    base = int(ipaddress.ip_address("10.0.0.0"))
    subnets = -(-instances // _PER_SUBNET)
    return {
        "vpcs": {
            "office": {
                "cidr": "10.0.0.0/8",
                "subnets": {
                    f"s{n}": {"cidr": f"{ipaddress.ip_address(base + n * 1024)}/22"} for n in range(subnets)
                },
                "security_groups": {"ssh": {"ingress": [{"ports": 22, "source": "10.0.0.0/8"}]}},
            }
        },
        "instances": {
            f"host-{n}": {
                "subnet": f"office/s{n % subnets}",
                "private_ip": str(ipaddress.ip_address(base + n % subnets * 1024 + 10 + n // subnets)),
                "security_groups": ["ssh"],
                "tags": {"Name": f"host-{n}", "env": "dev" if n % 2 else "live", "team": f"team-{n % 100}"},
            }
            for n in range(instances)
        },
    }
