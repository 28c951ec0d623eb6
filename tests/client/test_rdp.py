"""Remote Desktop through a tunnel: the file, the program, and the end of both."""

import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.client.stubs import StubGateway, tunnel_plan
from tests.client.tunnel.test_listener import Echo
from tests.transport.harness import until

from hatchway.client.errors import InvalidOption, NoConnection
from hatchway.client.rdp import Program, carry_session, find_program, rdp_file
from hatchway.client.tunnel import event_loop
from hatchway.client.tunnel.forward import local_port_like

CLIENT = """#!{python}
import re, socket, sys
port = int(re.search("full address:s:127.0.0.1:([0-9]+)", open(sys.argv[1]).read())[1])
with socket.create_connection(("127.0.0.1", port)) as connection:
    connection.sendall(b"desktop")
    open(sys.argv[1] + ".got", "wb").write(connection.recv(100))
"""


def test_the_file_leads_to_the_local_port() -> None:
    assert rdp_file(40000, "CORP\\alice").split("\r\n") == [
        "full address:s:127.0.0.1:40000",
        "authentication level:i:2",
        "gatewayusagemethod:i:0",
        "username:s:CORP\\alice",
        "",
    ]
    assert "username" not in rdp_file(40000, None)


@pytest.mark.parametrize("user", ["", "a\nfull address:s:192.0.2.1", "x" * 257])
def test_a_user_adds_no_setting(user: str) -> None:
    with pytest.raises(InvalidOption):
        rdp_file(40000, user)


@pytest.mark.parametrize(
    ("platform", "there", "found"),
    [
        ("linux", ("remmina", "xfreerdp"), (("xfreerdp",), True)),
        # Another process of its own may have the session.
        ("linux", ("remmina",), (("remmina", "-c"), False)),
        ("darwin", ("xfreerdp", "open"), (("open", "-W"), True)),
        ("linux", (), None),
    ],
)
def test_the_program_is_the_one_that_the_machine_has(
    platform: str,
    there: tuple[str, ...],
    found: tuple[tuple[str, ...], bool] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("shutil.which", lambda name: str(tmp_path / name) if name in there else None)
    monkeypatch.setenv("DISPLAY", ":0")
    program = find_program()
    assert (program and program[:2]) == (
        None if found is None else ((str(tmp_path / found[0][0]), *found[0][1:]), found[1])
    )


@pytest.mark.parametrize(
    ("display", "found"), [({}, False), ({"DISPLAY": ""}, False), ({"WAYLAND_DISPLAY": "wayland-0"}, True)]
)
def test_without_a_display_no_program_is_started(
    display: dict[str, str], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in display.items():
        monkeypatch.setenv(name, value)
    assert (find_program() is not None) is found


def test_the_port_is_there_until_the_program_ends(gateway: StubGateway, tmp_path: Path) -> None:
    gateway.answer = Echo
    client, file = tmp_path / "client", tmp_path / "host.rdp"
    client.write_text(CLIENT.format(python=sys.executable))
    client.chmod(0o755)
    port = local_port_like(0)
    file.write_text(rdp_file(port, None))
    lines: list[str] = []
    event_loop.run(carry_session(tunnel_plan(gateway), port, file, Program((str(client),)), lines.append))
    assert Path(f"{file}.got").read_bytes() == b"desktop"
    assert str(port) in lines[0]
    assert local_port_like(port) == port


def test_a_program_whose_end_is_not_that_of_the_session_leaves_the_port_open(
    gateway: StubGateway, tmp_path: Path
) -> None:
    gateway.answer = Echo
    file = tmp_path / "host.rdp"
    # What it does, and then it ends.
    program = Program(("touch",), ends_with_session=False)

    async def run() -> bytes:
        port = local_port_like(0)
        session = asyncio.create_task(carry_session(tunnel_plan(gateway), port, file, program, print))
        await until(file.exists)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"desktop")
        said = await reader.read(100)
        writer.close()
        session.cancel()
        await asyncio.wait([session])
        return said

    assert event_loop.run(run()) == b"desktop"


# FreeRDP's for a session that a user logged off from, and for one that never was.
@pytest.mark.parametrize(("code", "fails"), [(12, False), (131, True)])
def test_a_program_that_fails_is_told_of_and_one_that_ends_its_session_is_not(
    gateway: StubGateway, tmp_path: Path, code: int, fails: bool
) -> None:
    program = Program(("sh", "-c", f"exit {code}"))
    session = carry_session(tunnel_plan(gateway), local_port_like(0), tmp_path, program, print)
    told = pytest.raises(NoConnection, match=f"sh ended with exit code {code}") if fails else nullcontext()
    with told:
        event_loop.run(session)


def test_a_port_that_is_taken_is_told_of_and_no_program_runs(gateway: StubGateway, tmp_path: Path) -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            await carry_session(tunnel_plan(gateway), port, tmp_path, Program(("/does/not/exist",)), print)

    with pytest.raises(InvalidOption, match="cannot listen"):
        event_loop.run(run())
