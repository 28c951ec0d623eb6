"""Processes that share a store take turns at its write lock, however greedy one of them is."""

import subprocess
import sys
import textwrap
from pathlib import Path

from hatchway.store import Store

OWN = 20
"""Transactions of a process that writes now and then, beside one whose eight threads do nothing else."""

GREEDY = textwrap.dedent(
    """
    import sys, threading, time
    from hatchway.store import Store

    store = Store.open(sys.argv[1])
    stopping = threading.Event()
    written = [0] * 8

    def write(number):
        while not stopping.is_set():
            with store.record():
                time.sleep(0.01)
            written[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(written))]
    for thread in threads:
        thread.start()
    while not all(written):
        time.sleep(0.01)
    before = sum(written)
    print("writing", flush=True)
    sys.stdin.readline()
    print(sum(written) - before, flush=True)
    stopping.set()
    for thread in threads:
        thread.join()
    """
)


def test_a_process_whose_threads_write_one_after_another_does_not_keep_others_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hatchway.db"
    store = Store.open(url)
    store.migrate()
    command = [sys.executable, "-c", GREEDY, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as greedy:
        assert greedy.stdin is not None and greedy.stdout is not None
        assert greedy.stdout.readline() == "writing\n"
        for _ in range(OWN):
            with store.record():
                pass
        greedy.stdin.write("enough\n")
        greedy.stdin.flush()
        of_the_greedy = int(greedy.stdout.readline())
    # While this process waits for its disk, the others' turn comes too.
    assert of_the_greedy <= 3 * OWN
    assert greedy.returncode == 0
    store.close()
