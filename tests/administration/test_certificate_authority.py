"""Another CA in the place of the one that clients trust: who is trusted by whom after each step."""

import errno
import json
import ssl
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Installed

from hatchway.administration import certificate_authority
from hatchway.administration.certificate_authority import Step, rotate
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation import secret_files
from hatchway.installation.backup import make_backup
from hatchway.installation.installation import Installation, open_installation, renew_server_certificate
from hatchway.installation.restore import restore_backup
from hatchway.pki.certificate_authority import check_ca
from hatchway.pki.certificates import KeyPair, certificates_in, is_issued_by
from hatchway.settings import DataDirectory
from hatchway.store import Store

NAMES = ["localhost", "127.0.0.1"]


@pytest.fixture
def installation(installed: Installed) -> Iterator[Installation]:
    with open_installation(DataDirectory(installed.directory), None) as opened:
        yield opened


def authorities(installation: Installation) -> list[bytes]:
    return certificates_in(installation.directory.ca_certificate.read_bytes())


def renew(installation: Installation) -> bool:
    """What a server does that gets a SIGHUP."""
    return renew_server_certificate(installation.directory, NAMES, datetime.now(UTC))


def trusts(bundle: bytes, installation: Installation, tmp_path: Path) -> bool:
    """Whether a client with this bundle takes the server's certificate: a handshake in memory."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(installation.directory.server_certificate)
    near = ssl.create_default_context(cadata=bundle.decode()).wrap_bio(
        client_in, client_out, server_hostname="localhost"
    )
    far = server.wrap_bio(server_in, server_out, server_side=True)
    for _ in range(6):
        for end, coming, going, other in (
            (near, client_in, client_out, server_in),
            (far, server_in, server_out, client_in),
        ):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return False
            other.write(going.read())
            assert coming is not going
    return True


def test_whoever_takes_over_each_bundle_in_time_trusts_the_server_at_every_moment(
    installation: Installation, tmp_path: Path
) -> None:
    bundle = installation.directory.ca_certificate
    first = bundle.read_bytes()
    assert trusts(first, installation, tmp_path)

    rotate(installation, Step.ADD)
    both = bundle.read_bytes()
    assert not renew(installation)
    assert trusts(first, installation, tmp_path)
    assert trusts(both, installation, tmp_path)

    rotate(installation, Step.USE)
    assert trusts(both, installation, tmp_path)
    assert renew(installation)
    assert trusts(both, installation, tmp_path)
    assert trusts(bundle.read_bytes(), installation, tmp_path)
    assert not trusts(first, installation, tmp_path)

    rotate(installation, Step.DROP)
    last = bundle.read_bytes()
    assert len(certificates_in(last)) == 1
    assert trusts(last, installation, tmp_path)
    assert trusts(both, installation, tmp_path)
    assert not renew(installation)


def test_the_key_of_the_next_ca_is_the_cas_key_once_it_issues_and_the_former_is_nowhere(
    installation: Installation,
) -> None:
    directory = installation.directory
    former = directory.ca_key.read_bytes()
    rotate(installation, Step.ADD)
    assert directory.ca_key.read_bytes() == former
    assert stat.S_IMODE(directory.next_ca_key.stat().st_mode) == 0o600
    rotate(installation, Step.USE)
    check_ca(KeyPair(directory.ca_certificate.read_bytes(), directory.ca_key.read_bytes()))
    assert not directory.next_ca_key.exists()
    assert stat.S_IMODE(directory.ca_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.ca_certificate.stat().st_mode) == 0o644
    assert not [path for path in directory.path.iterdir() if path.is_file() and former in path.read_bytes()]


def test_a_backup_between_the_steps_goes_on_with_them_where_it_is_restored(
    installation: Installation, tmp_path: Path
) -> None:
    before = authorities(installation)
    rotate(installation, Step.ADD)
    now = datetime.now(UTC)
    make_backup(installation.directory, None, tmp_path / "backup", now)
    restored = DataDirectory(tmp_path / "restored")
    restore_backup(tmp_path / "backup", restored, None, now)
    assert stat.S_IMODE(restored.next_ca_key.stat().st_mode) == 0o600
    with open_installation(restored, None) as again:
        rotate(again, Step.USE)
        assert authorities(again) == authorities(installation)[::-1] != before
        assert renew(again)


def test_the_next_ca_may_issue_for_names_that_the_former_may_not(installation: Installation) -> None:
    added = rotate(installation, Step.ADD, ["gateway.elsewhere.example"])
    assert "gateway.elsewhere.example" not in added.names
    used = rotate(installation, Step.USE)
    assert {"gateway.elsewhere.example", *added.names} <= set(used.names)
    with pytest.raises(BadUsage, match="is for the next CA"):
        rotate(installation, Step.USE, ["x.example"])
    with pytest.raises(BadUsage, match=r"'10\.0\.0\.1' is not a host name"):
        rotate(installation, Step.ADD, ["10.0.0.1"])


def test_steps_have_an_order_and_may_be_repeated(installation: Installation) -> None:
    with pytest.raises(BadUsage, match="run --step add first"):
        rotate(installation, Step.USE)
    assert len(rotate(installation, Step.DROP).fingerprints) == 1
    added = rotate(installation, Step.ADD)
    assert rotate(installation, Step.ADD) == added
    with pytest.raises(BadUsage, match="run --step use first"):
        rotate(installation, Step.DROP)
    used = rotate(installation, Step.USE)
    assert used.fingerprints == added.fingerprints[::-1]
    assert rotate(installation, Step.USE) == used
    with pytest.raises(BadUsage, match="run --step drop first"):
        rotate(installation, Step.ADD)
    with pytest.raises(CommandFailed, match="certificate is still from the old CA: send the server a SIGHUP"):
        rotate(installation, Step.DROP)
    renew(installation)
    assert rotate(installation, Step.DROP).fingerprints == used.fingerprints[:1]
    with installation.store.read() as tx:
        events = [json.loads(each.body) for each in tx.audit_records.find()]
    recorded = {
        each["requestParameters"]["step"]: each["responseElements"]["certificateAuthorities"]
        for each in events
        if each["eventName"] == "RotateCertificateAuthority"
    }
    assert recorded == {
        "add": list(added.fingerprints),
        "use": list(used.fingerprints),
        "drop": list(used.fingerprints[:1]),
    }


def test_a_step_that_was_interrupted_is_finished_by_the_next_call(installation: Installation) -> None:
    directory = installation.directory
    before = directory.ca_certificate.read_bytes()
    rotate(installation, Step.ADD)
    # Between the key and the certificates.
    directory.ca_certificate.write_bytes(before)
    added = rotate(installation, Step.ADD)
    assert len(added.fingerprints) == 2
    # Between the certificates and the key.
    certificates = authorities(installation)
    directory.ca_certificate.write_bytes(certificates[1] + certificates[0])
    used = rotate(installation, Step.USE)
    assert used.fingerprints == added.fingerprints[::-1]
    assert renew(installation)
    assert is_issued_by(directory.server_certificate.read_bytes(), certificates[1])


def trail(installation: Installation) -> list[tuple[str, str | None]]:
    """The steps on record, each with its error."""
    with installation.store.read() as tx:
        events = [json.loads(each.body) for each in tx.audit_records.find()]
    return [
        (each["requestParameters"]["step"], each.get("errorCode"))
        for each in events
        if each["eventName"] == "RotateCertificateAuthority"
    ]


class Killed(BaseException):
    """What ends a process at once."""


@pytest.mark.parametrize("files", [0, 1, 2])
@pytest.mark.parametrize("step", Step)
def test_a_step_that_is_killed_anywhere_is_on_record_and_is_finished_by_the_next_call(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, step: Step, files: int
) -> None:
    directory = installation.directory
    for before in list(Step)[: list(Step).index(step)]:
        rotate(installation, before)
        renew(installation)
    written: list[Path] = []

    def put_file(path: Path, content: bytes, *, like: Path) -> None:
        if len(written) == files:
            raise Killed
        written.append(path)
        secret_files.put_file(path, content, like=like)

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(certificate_authority, "put_file", put_file)
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        rotate(installation, step)
    assert step in [name for name, _ in trail(installation)]
    # Whatever it left, the server goes on issuing, and who is told of CAs now trusts it.
    renew(installation)
    check_ca(KeyPair(directory.ca_certificate.read_bytes(), directory.ca_key.read_bytes()))
    rotate(installation, step)
    renew(installation)
    for after in list(Step)[list(Step).index(step) + 1 :]:
        rotate(installation, after)
        renew(installation)
    assert len(authorities(installation)) == 1
    assert not directory.next_ca_key.exists()


def test_a_step_that_cannot_be_done_is_on_record_with_why(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, *, like: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(certificate_authority, "put_file", full)
    with pytest.raises(CommandFailed, match="No space left"):
        rotate(installation, Step.ADD)
    assert set(trail(installation)) == {("add", None), ("add", "Failed")}


def test_of_two_commands_at_once_one_does_the_step(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = certificate_authority._add
    other: list[bool] = []

    def write(store: Store) -> Any:
        if other:
            other.pop()
            rotate(installation, Step.ADD)
        return original(store)

    def plan(*arguments: Any) -> Any:
        monkeypatch.setattr(certificate_authority, "_add", add)
        # What comes next is the lock for the files: before it, another command does the whole.
        other.append(True)
        return add(*arguments)

    original = type(installation.store).write
    monkeypatch.setattr(type(installation.store), "write", write)
    monkeypatch.setattr(certificate_authority, "_add", plan)
    assert len(rotate(installation, Step.ADD).fingerprints) == len(authorities(installation)) == 2
    assert not other


def test_damaged_files_are_told_of_and_left_alone(installation: Installation) -> None:
    directory = installation.directory
    rotate(installation, Step.ADD)
    directory.next_ca_key.write_bytes(b"no key")
    with pytest.raises(BadUsage, match="remove it, and run --step add"):
        rotate(installation, Step.USE)
    directory.ca_certificate.write_bytes(b"no certificate")
    for step in Step:
        with pytest.raises(CommandFailed, match="the CA's certificate is damaged"):
            rotate(installation, step)
    assert directory.ca_certificate.read_bytes() == b"no certificate"
