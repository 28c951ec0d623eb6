"""Processes that share a store take turns at its write lock, however greedy one of them is."""

import subprocess
import sys
import textwrap
from math import inf
from pathlib import Path

from hatchway.store import Store

OWN = 20
"""Transactions of a process that writes now and then, beside one whose eight threads do nothing else."""

TRIES = 10
"""How often that is measured at most: where the machine does more besides, its process waits for its turn at
a processor too, and the others write meanwhile."""

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
    print("writing", flush=True)
    while sys.stdin.readline():
        print(sum(written), flush=True)
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

        def written() -> int:
            assert greedy.stdin is not None and greedy.stdout is not None
            greedy.stdin.write("how many?\n")
            greedy.stdin.flush()
            return int(greedy.stdout.readline())

        least = inf
        for _ in range(TRIES):
            before = written()
            for _ in range(OWN):
                with store.record():
                    pass
            least = min(least, written() - before)
            # While this process waits for its disk, the others' turn comes too.
            if least <= 3 * OWN:
                break
        greedy.stdin.close()
    assert least <= 3 * OWN
    assert greedy.returncode == 0
    store.close()
