"""Whose word is whose on the command line of `hatchway ssh`."""

import errno

import pytest

from hatchway.cli import connecting
from hatchway.cli.short_lines import split_words
from hatchway.client.api.profile import ProfileOptions
from hatchway.client.discovery.discovery import TunnelOptions
from hatchway.client.errors import NoConnection

FLAGS = {"--dry-run", "--help", "-h"}
VALUED = {"--os-user", "--profile"}
HOST = "i-0123456789abcdef0"


@pytest.mark.parametrize(
    ("words", "ours", "of_ssh"),
    [
        ([], [], []),
        ([HOST], [], [HOST]),
        (["--os-user", "x", HOST, "id"], ["--os-user", "x"], [HOST, "id"]),
        (["-l", "x", "--dry-run", "-v", HOST], ["--dry-run"], ["-l", "x", "-v", HOST]),
        (["-tl", "--help", HOST], [], ["-tl", "--help", HOST]),
        (["--os-user=x", HOST, "--profile", "p", "ls"], ["--os-user=x", "--profile", "p"], [HOST, "ls"]),
        # All that the remote command is given is the remote command's.
        ([HOST, "ls", "--help", "--os-user", "x", "--"], [], [HOST, "ls", "--help", "--os-user", "x", "--"]),
        ([HOST, "-v", "ls", "--dry-run"], [], [HOST, "-v", "ls", "--dry-run"]),
        ([HOST, "--", "--help"], [], [HOST, "--help"]),
        # Behind the instance a first -- is ours, as it was; behind options of ssh it is ssh's.
        ([HOST, "--", "-N", "-L", "1:h:2"], [], [HOST, "-N", "-L", "1:h:2"]),
        ([HOST, "--os-user", "x", "--", "uptime"], ["--os-user", "x"], [HOST, "uptime"]),
        ([HOST, "-v", "--", "-x"], [], [HOST, "-v", "--", "-x"]),
        # scp and sftp put -- before it.
        (["-x", "--", HOST, "--help"], [], ["-x", "--", HOST, "--help"]),
        # What nobody knows is refused where it stands: by us before the instance, by ssh's reader behind it.
        (["--nonsense", HOST], ["--nonsense"], [HOST]),
        ([HOST, "--nonsense"], [], [HOST, "--nonsense"]),
        (["--os-user"], ["--os-user"], []),
        (["-l"], [], ["-l"]),
    ],
)
def test_words_go_to_whom_they_are_meant_for(words: list[str], ours: list[str], of_ssh: list[str]) -> None:
    assert split_words(words, FLAGS, VALUED) == (ours, of_ssh)


def test_a_disk_that_is_full_ends_ssh_as_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/key")

    monkeypatch.setattr("hatchway.client.ssh.ssh.run_ssh", fail)
    with pytest.raises(NoConnection, match="/tmp/key"):
        connecting.ssh(
            ["web-1"],
            os_user=None,
            remote_port=None,
            dry_run=False,
            tunnel=TunnelOptions(),
            caller=ProfileOptions(),
        )
