"""A server may have as many connections as the machine lets it."""

import resource
import subprocess
import sys

import pytest

from hatchway.transport.open_files import allow_open_files, max_pending_for


def test_a_process_takes_its_hard_limit() -> None:
    program = (
        "import resource; from hatchway.transport.open_files import allow_open_files;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512));"
        "most = allow_open_files(); print(); print(most, *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "512 512 512"
    assert "open files" in done.stdout


@pytest.mark.parametrize(
    ("soft", "hard", "most", "changed"),
    [
        (64, 512, 512, (512, 512)),
        (512, 512, 512, None),
        (1024, resource.RLIM_INFINITY, 1 << 20, (1 << 20, resource.RLIM_INFINITY)),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 1 << 20, None),
    ],
)
def test_the_soft_limit_is_raised_where_it_is_lower_than_it_may_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, most: int, changed: tuple[int, int] | None
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert allow_open_files() == most
    assert asked == ([] if changed is None else [changed])


def test_half_of_the_files_is_for_connections_that_are_pending() -> None:
    assert max_pending_for(1024) == 412
    assert max_pending_for(10) == 1
