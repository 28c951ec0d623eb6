"""ssh's command line, as ssh reads it."""

import subprocess

import pytest
from tests.programs import needs

from hatchway.client.discovery.discovery import TunnelOptions
from hatchway.client.errors import InvalidOption
from hatchway.client.ssh.ssh import ssh_options
from hatchway.client.ssh.ssh_line import Hop, SshLine, lacks_value, parse_hop, parse_ssh_line, values_of

HOST = "i-0123456789abcdef0"


def line(
    *options: str,
    user: str | None = None,
    port: int | None = None,
    command: tuple[str, ...] = (),
    connects: bool = True,
    jump: str | None = None,
) -> SshLine:
    return SshLine(HOST, user, port, options, command, connects, jump)


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
        (["-J", "a@b:22,c", HOST], line(jump="a@b:22,c")),
        (["-Ja", HOST, "-o", "ProxyJump=b"], line(jump="a")),
        (["-o", "ProxyJump none", HOST, "-J", "a"], line()),
        ([f"ssh://bob@{HOST}:2222/", "id"], line(user="bob", port=2222, command=("id",))),
        (["-p", "1", f"ssh://{HOST}:2222"], line(port=1)),
        ([f"ssh://[{HOST}]"], line()),
        # VS Code and Ansible.
        (["-T", "-D", "51234", "-o", "ConnectTimeout=15", HOST, "bash"],
         line("-T", "-D", "51234", "-o", "ConnectTimeout=15", command=("bash",))),
        (["-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", 'User="bob"', "-o",
          'ControlPath="/c"', "-tt", HOST, "/bin/sh -c 'echo ~bob && sleep 0'"],
         line("-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", 'ControlPath="/c"',
              "-t", "-t", user="bob", command=("/bin/sh -c 'echo ~bob && sleep 0'",))),
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
        ["-o", "User\tbob", HOST],
        ["-o", "user\t= bob", HOST],
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
    [[], [""], ["-v"], ["-l"], ["-l", "bob"], [HOST, "-p"], ["-p", "x", HOST], ["-p", "0", HOST],
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


@pytest.mark.parametrize("words", [["-V"], ["-Q", "key"], ["-vV"]])
def test_what_ssh_is_asked_of_itself_needs_no_host(words: list[str]) -> None:
    meaning = parse_ssh_line(words)
    assert (meaning.destination, meaning.options, meaning.connects) == ("", tuple(words), False)


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("b", Hop("b", None, None)),
        ("a@b:22", Hop("b", "a", 22)),
        ("[fd00::5]:22", Hop("fd00::5", None, 22)),
        ("a@[fd00::5]", Hop("fd00::5", "a", None)),
        ("fd00::5", Hop("fd00::5", None, None)),
        ("ssh://a@b:22", Hop("b", "a", 22)),
    ],
)
def test_a_host_on_the_way_is_read_as_ssh_reads_it(text: str, hop: Hop) -> None:
    assert parse_hop(text) == hop


def test_the_values_of_an_option_are_found_and_not_those_that_look_like_it() -> None:
    options = ["-F", "a", "-i", "-F", "-o", "UserKnownHostsFile=x y", "-vF", "b"]
    assert values_of(options, "F") == ["a", "b"]
    assert values_of(options, "o", "userknownhostsfile") == ["x y"]
    assert values_of(options, "o", "user") == []
