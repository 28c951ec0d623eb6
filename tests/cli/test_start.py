"""Where `hatchway` begins: what is usual is read without the whole command, and means the same."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.commands import environment
from tests.client.certificates import make_certificates
from tests.client.stubs import DNS_NAME, INSTANCE_ID, running_control_plane
from tests.programs import needs
from tests.transport.compiled import needs_core
from typer.main import get_command

from hatchway.cli import connecting, short_lines
from hatchway.cli.main import app
from hatchway.client.api.profile import ProfileOptions
from hatchway.client.discovery.discovery import TunnelOptions

HEAVY = {
    *("typer", "click", "rich", "pydantic", "botocore", "boto3", "urllib3", "cryptography", "sqlalchemy"),
    *("yaml", "structlog", "uvloop", "starlette", "prometheus_client", "alembic", "http.client", "email"),
}
OF_MANY_TUNNELS = {"asyncio", "picows", "python_socks", "concurrent.futures", "logging"}
"""What a listener needs, and one tunnel does without."""
WHOLE: Any = get_command(app)
TABLES: Mapping[str, Mapping[str, tuple[str, type]]] = {
    "ssh": {**short_lines.SSH, **short_lines.TUNNEL, **short_lines.CALLER},
    "open-tunnel": {**short_lines.OPEN_TUNNEL, **short_lines.TUNNEL, **short_lines.CALLER},
}
OPEN = ("open-tunnel", "--region", "us-east-1", "--endpoint-url", "https://nowhere.invalid")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*OPEN, "i-0123456789abcdef0"), "Could not connect"),
        ((*OPEN, "web-1", "--local-port", "0"), "Could not connect"),
        pytest.param(
            ("ssh", *OPEN[1:], "web-1", "uptime"), "Could not connect", marks=needs("ssh", "openssh-client")
        ),
        (("ssh", *OPEN[1:], "--dry-run", "web-1"), "Could not connect"),
        # With all questions answered, up to the gateway: this is what ssh starts.
        (
            (
                *(*OPEN, "--private-ip-address", "127.0.0.1", "--gateway-port", "1"),
                *("--instance-connect-endpoint-id", "eice-0123456789abcdef0"),
                *("--instance-connect-endpoint-dns-name", "nowhere.invalid"),
            ),
            "cannot open a tunnel",
        ),
    ],
)
def test_what_ssh_waits_for_loads_nothing_that_takes_long(arguments: tuple[str, ...], told: str) -> None:
    program = (
        "import sys, atexit; from hatchway.cli.start import main;"
        "atexit.register(lambda: print('loaded', *sys.modules)); main()"
    )
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CONFIG_FILE": "/none"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment({**keys, "AWS_SHARED_CREDENTIALS_FILE": "/none"}),
        stdin=subprocess.PIPE, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told in done.stderr
    word, *loaded = done.stdout.split()
    assert word == "loaded"
    assert not [name for name in loaded if name in HEAVY]
    if "--local-port" not in arguments:
        assert not [name for name in loaded if name in OF_MANY_TUNNELS]


LOADED_WHILE_THE_API_IS_WAITED_FOR = {
    "pyexpat",
    "hatchway.client.tunnel.opening",
    "hatchway.client.tunnel.stream_relay",
}


def test_what_an_answer_of_the_api_is_needed_for_is_loaded_while_that_is_waited_for_and_nothing_afterwards(
    tmp_path: Path,
) -> None:
    """On a slow link that costs no time."""
    program = (
        "import sys, atexit\n"
        "told = []\n"
        "def note(event, arguments):\n"
        "    if event == 'import' and arguments[0] not in sys.modules: told.append(arguments[0])\n"
        "    if event == 'socket.connect' and isinstance(arguments[1], tuple): told.append('connects')\n"
        "sys.addaudithook(note)\n"
        "atexit.register(lambda: print('noted', *told))\n"
        "from hatchway.cli.start import main; main()"
    )
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CONFIG_FILE": "/none"}
    gateway = ("--gateway-address", "127.0.0.9")
    with running_control_plane(make_certificates(tmp_path, DNS_NAME)) as api:
        api.document = b'{"gateway_port": 1, "remember_seconds": 60}'
        where = {"AWS_CA_BUNDLE": api.ca_bundle, "XDG_CACHE_HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", program, *OPEN[:3], "--endpoint-url", api.url, *gateway, INSTANCE_ID],
            env=environment({**keys, **where, "AWS_SHARED_CREDENTIALS_FILE": "/none"}),
            stdin=subprocess.PIPE, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert "cannot open a tunnel" in done.stderr
    told = done.stdout.split()
    # To each address of `localhost`, and then to the gateway.
    first = told.index("connects")
    after = len(told) - 1 - told[::-1].index("hatchway.client.tunnel.stream_relay")
    assert set(told[first:]) >= LOADED_WHILE_THE_API_IS_WAITED_FOR
    assert not LOADED_WHILE_THE_API_IS_WAITED_FOR & set(told[:first])
    asked = told.index("connects", after)
    # The last of these imports modules of Python's own, which are noted after it.
    loaded = {name for name in told[after:asked] if not name.startswith("hatchway.client.")}
    assert loaded <= {"threading", "_weakrefset"}
    assert "tempfile" not in told
    assert list((tmp_path / "hatchway" / "answers").iterdir())


@pytest.mark.parametrize(
    "compiled_core",
    [
        pytest.param("on", marks=needs_core),
        "off",
    ],
)
def test_what_carries_the_tunnels_of_a_local_port_is_loaded_before_the_first(compiled_core: str) -> None:
    load = "from hatchway.cli import connecting; connecting._load_what_carries_many()"
    program = f"import sys; {load}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment({"HATCHWAY_COMPILED_CORE": compiled_core}),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert {"hatchway.client.tunnel.asyncio_opening", "hatchway.client.tunnel.asyncio_relay"} <= loaded
    assert "picows" not in loaded


def test_the_completion_of_a_host_s_name_loads_no_botocore() -> None:
    program = (
        "import sys, atexit; from hatchway.cli.start import main;"
        "atexit.register(lambda: print('loaded', *sys.modules)); main()"
    )
    words = {"COMP_WORDS": "hatchway ssh we", "COMP_CWORD": "2", "_HATCHWAY_COMPLETE": "complete_bash"}
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CONFIG_FILE": "/none"}
    where = {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "https://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment({**words, **keys, **where, "AWS_SHARED_CREDENTIALS_FILE": "/none"}),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    loaded = done.stdout.split()
    assert "hatchway.client.api.api_client" in loaded
    assert not {"botocore", "urllib3", "picows"} & set(loaded)


@pytest.mark.parametrize("command", TABLES)
def test_the_tables_have_every_option_of_the_whole_command_with_its_kind(command: str) -> None:
    whole = {
        name: option.type_descriptor.annotation
        for option in WHOLE.commands[command].params
        if option.param_type_name == "option"
        for name in option.opts
    }
    assert {name: kind for name, (_, kind) in TABLES[command].items()} == whole
    assert {field for field, _ in short_lines.TUNNEL.values()} <= set(TunnelOptions._fields)
    assert {field for field, _ in short_lines.CALLER.values()} == set(ProfileOptions._fields)


def read_by_the_whole(arguments: list[str]) -> tuple[object, ...] | None:
    """What the whole command would call; None when it does not."""
    called: list[tuple[object, ...]] = []

    def note(name: str) -> Any:
        def command(positional: Any, **options: Any) -> int:
            host = tuple(positional) if name == "ssh" else positional
            called.append((name, host, tuple(sorted(options.items(), key=lambda pair: pair[0]))))
            return 0

        return command

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connecting, "ssh", note("ssh"))
        patch.setattr(connecting, "open_tunnel", note("open_tunnel"))
        try:
            WHOLE(arguments, standalone_mode=False)
        except Exception:
            return None
        return called[0] if called else None


def read_short(arguments: list[str]) -> tuple[object, ...] | None:
    line = short_lines.read(arguments)
    if line is None:
        return None
    options = {**line.own, "tunnel": TunnelOptions(**line.tunnel), "caller": ProfileOptions(**line.caller)}
    return (line.command, line.positional, tuple(sorted(options.items(), key=lambda pair: pair[0])))


WORDS = st.sampled_from(
    [
        *(name for table in TABLES.values() for name in table),
        *(
            "--profile=lab",
            "--remote-port=1",
            "--dry-run=x",
            "--help",
            "-h",
            "--",
            "-l",
            "-v",
            "-p",
            "--none",
        ),
        *("web-1", "bob@web-1", "22", "+2", "1_0", "x", "", "-", "-1", "²", "id", "uptime"),
    ]
)


@given(st.sampled_from(["ssh", "open-tunnel"]), st.lists(WORDS, max_size=7))
def test_what_is_read_the_short_way_means_what_the_whole_command_makes_of_it(
    command: str, words: list[str]
) -> None:
    short = read_short([command, *words])
    assert short is None or short == read_by_the_whole([command, *words])


@pytest.mark.parametrize(
    "line",
    [
        "ssh web-1",
        "ssh --profile lab -l bob -L 8080:localhost:80 web-1 uptime -p",
        "ssh --os-user bob --remote-port=2222 --dry-run web-1 -- ls --help",
        "open-tunnel web-1",
        "open-tunnel --instance-id i-1 --remote-port 2222",
        "open-tunnel db-1 --remote-port 5432 --local-port 5432",
        "open-tunnel --profile lab --gateway-port 443 web-1",
    ],
)
def test_what_people_type_is_read_the_short_way(line: str) -> None:
    assert read_short(line.split()) == read_by_the_whole(line.split())
    assert read_short(line.split()) is not None
