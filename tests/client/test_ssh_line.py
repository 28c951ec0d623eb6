"""ssh's command line, as ssh reads it."""

import subprocess

import pytest
from tests.programs import needs

from hatchway.client.discovery import TunnelOptions
from hatchway.client.errors import InvalidOption
from hatchway.client.ssh import ssh_options
from hatchway.client.ssh_line import SshLine, lacks_value, parse_ssh_line

HOST = "i-0123456789abcdef0"


def line(
    *options: str,
    user: str | None = None,
    port: int | None = None,
    command: tuple[str, ...] = (),
    connects: bool = True,
) -> SshLine:
    return SshLine(HOST, user, port, options, command, connects)


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ([HOST], line()),
        ([HOST, "ls", "-l", "--help", "--os-user"], line(command=("ls", "-l", "--help", "--os-user"))),
        ([f"root@{HOST}", "id"], line(user="root", command=("id",))),
        ([f"a@b@{HOST}"], line(user="a@b")),
        ([HOST, "--", "-x"], line(command=("-x",))),
        ([HOST, "-v", "--", "uptime", "--", "x"], line("-v", command=("uptime", "--", "x"))),
        (["--", HOST, "-l", "bob"], line(command=("-l", "bob"))),
        ([HOST, "-l", "bob", "ls", "-l"], line(user="bob", command=("ls", "-l"))),
        # Of two the first counts, and a name in front of the host is where it stands.
        (["-l", "bob", f"root@{HOST}"], line(user="bob")),
        ([f"root@{HOST}", "-l", "bob"], line(user="root")),
        (["-o", "User=bob", f"root@{HOST}"], line(user="bob")),
        (["-oport 2222", "-p", "22", HOST], line(port=2222)),
        (["-p2222", HOST, "-p", "1"], line(port=2222)),
        (["-Nfv", "-L8080:localhost:80", HOST], line("-N", "-f", "-v", "-L", "8080:localhost:80")),
        (["-tp", "2222", HOST], line("-t", port=2222)),
        (["-o", "ServerAliveInterval = 9", HOST], line("-o", "ServerAliveInterval = 9")),
        (["-i", "-", HOST], line("-i", "-")),
        (["-G", HOST], line("-G", connects=False)),
        (["-Ocheck", HOST], line("-O", "check", connects=False)),
        # What rsync, git, scp and sftp write.
        (["-l", "bob", HOST, "rsync", "--server", "-e.LsfxCIvu", ".", "x"],
         line(user="bob", command=("rsync", "--server", "-e.LsfxCIvu", ".", "x"))),
        (["-o", "SendEnv=GIT_PROTOCOL", "-p", "22", f"git@{HOST}", "git-upload-pack 'x'"],
         line("-o", "SendEnv=GIT_PROTOCOL", user="git", port=22, command=("git-upload-pack 'x'",))),
        (["-x", "-oForwardAgent=no", "-l", "bob", "-s", "--", HOST, "sftp"],
         line("-x", "-o", "ForwardAgent=no", "-s", user="bob", command=("sftp",))),
    ],
)  # fmt: skip
def test_a_line_means_what_it_means_to_ssh(words: list[str], meaning: SshLine) -> None:
    assert parse_ssh_line(words) == meaning


@needs("ssh", "openssh-client")
@pytest.mark.parametrize(
    "words",
    [
        ["-l", "bob", f"root@{HOST}"],
        [f"root@{HOST}", "-l", "bob"],
        ["-o", "User=bob", "-o", "User carl", HOST],
        [f"a@b@{HOST}", "-p", "7"],
        ["-o", "Port = 7", HOST, "-p", "8"],
        ["-o", 'User "bob"', HOST],
        ["-o", " User bob", HOST],
        ["-vp9", HOST, "-l", "x"],
        ["--", HOST, "-l", "bob"],
    ],
)
def test_openssh_finds_the_same_user_and_port(words: list[str]) -> None:
    shown = subprocess.run(
        ["ssh", "-F", "none", "-G", *words], capture_output=True, text=True, check=True
    ).stdout
    settings = dict(text.partition(" ")[::2] for text in shown.splitlines())
    ours = parse_ssh_line(words)
    assert ours.destination == settings["hostname"]
    assert settings["port"] == str(ours.port or 22)
    if ours.user is not None:
        assert settings["user"] == ours.user


@pytest.mark.parametrize(
    "words",
    [[], ["-v"], ["-l"], ["-l", "bob"], [HOST, "-p"], ["-p", "x", HOST], ["-p", "0", HOST],
     ["-p", "65536", HOST], ["-oPort=99999999999", HOST], ["--os-user", "x", HOST],
     [HOST, "--os-user", "x"], [HOST, "--help"]],
)  # fmt: skip
def test_what_ssh_would_not_take_is_refused_with_a_reason(words: list[str]) -> None:
    with pytest.raises(InvalidOption, match=r"\w"):
        parse_ssh_line(words)


@pytest.mark.parametrize(
    ("word", "lacking"),
    [("-l", True), ("-tl", True), ("-lbob", False), ("-v", False), ("-Lp", False), ("-vvv", False)],
)
def test_an_options_value_is_in_its_word_or_the_next(word: str, lacking: bool) -> None:
    assert lacks_value(word) is lacking


def test_our_options_and_sshs_may_say_the_same_but_not_two_things() -> None:
    tunnel = TunnelOptions(max_tunnel_duration=60)
    words = ["-p", "2222", f"bob@{HOST}", "id"]
    options = ssh_options(words, "bob", 2222, tunnel)
    assert (options.os_user, options.tunnel.remote_port, options.command) == ("bob", 2222, ("id",))
    assert options == ssh_options(words, None, None, tunnel)
    for user, port in (("carl", None), (None, 22)):
        with pytest.raises(InvalidOption):
            ssh_options(words, user, port, tunnel)
    assert ssh_options([HOST], None, None, tunnel).os_user == "ec2-user"
