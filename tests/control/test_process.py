"""The process: it says when it listens, serves over modern TLS alone, and ends when told to."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from tests.control.harness import REGION, SharedServer, furnish, root_key, tunnel_user
from tests.store.migrated import new_sqlite_store

from hatchway.keys.key_files import new_key
from hatchway.keys.vault import Vault

PROGRAM = """
    import sys
    from pathlib import Path
    from hatchway.control.process import run_control
    from hatchway.logs import configure_logs
    from hatchway.settings import Address, DataDirectory, LogFormat, Settings

    configure_logs(LogFormat.JSON)

    directory, certificate = map(Path, sys.argv[1:])
    run_control(
        Settings(
            data_directory=DataDirectory(directory),
            store_url=f"sqlite:///{directory}/hatchway.db",
            api=Address("127.0.0.1", 0),
            api_certificate=certificate,
            api_key=certificate,
            gateway_certificate=certificate,
            gateway_tls_key=certificate,
        ),
        lambda address: print(address.port, flush=True),
    )
    print("ended", flush=True)
"""


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_until_it_is_told_to_stop(
    tmp_path: Path, shared_server: SharedServer, number: signal.Signals
) -> None:
    store = new_sqlite_store(tmp_path / "hatchway.db")
    vault = Vault(new_key(tmp_path / "master.key"))
    new_key(tmp_path / "gateway.key")
    with store.write() as tx:
        furnish(tx, datetime.now(UTC))
        root = root_key(tx, vault)
        alice = tunnel_user(tx, vault)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), tmp_path, shared_server.certificate],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with store.read() as tx:
            assert {row.access_key_id for row in tx.sealed_signing_keys.find()} == {alice.access_key_id}
        sts = boto3.client(
            "sts",
            region_name=REGION,
            endpoint_url=f"https://127.0.0.1:{port}",
            verify=str(shared_server.ca),
            aws_access_key_id=root.access_key_id,
            aws_secret_access_key=root.secret,
        )
        assert sts.get_caller_identity()["Arn"].endswith(":root")
        old = ssl.create_default_context(cafile=shared_server.ca)
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port)) as wire, pytest.raises(ssl.SSLError):
            old.wrap_socket(wire, server_hostname="127.0.0.1")
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        store.close()
    assert (process.returncode, rest) == (0, "ended\n")
    # What was recorded is on the disk as a line, the last call included.
    events = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [event["eventName"] for event in events] == ["GetCallerIdentity"]
