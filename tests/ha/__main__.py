"""Control planes, gateways, PgBouncer and two PostgreSQL servers, of which one is killed every few seconds.

    python -m tests.ha [--seconds N] [--seed N]

The version before runs beside this one at first, where there is a history of git, and is replaced one process
after the other. Meanwhile people open tunnels, use them and keep some, administrators change things, and
permissions are taken away. Then all is looked at: exits with 1 when something does not hold.
"""

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import urllib3
from tests.e2e.fault_load import Load
from tests.e2e.waiting import wait_until
from tests.ha.cluster import QUOTA, Cluster
from tests.ha.database import Pair, pair
from tests.ha.history import program_before
from tests.ha.looking import look, look_at_files, look_at_programs
from tests.ha.people import FAILED, Administrators, Crowd, Revocations, Revoked
from tests.ha.report import Report

from hatchway.store.change_feed.notifications import LISTENING_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROMISED = 1.0
"""Seconds within which a permission that was taken away ends a tunnel, where nothing has failed."""
LOOKED = LISTENING_INTERVAL
"""Seconds after which it does so where a gateway was not told of it, and looks by itself."""


def upgrade(cluster: Cluster, database: Pair, report: Report, source: Path) -> None:
    """From the version before to this one, one process after the other, under load."""
    cluster.add_control("control-1", database.plain_url, source)
    cluster.add_gateway("gateway-1", database.plain_url, source)
    report.say("the version before serves")
    cluster.add_control("control-2", database.url)
    report.say("a control plane of this version has migrated")
    cluster.add_gateway("gateway-2", database.url)
    time.sleep(5)


def harm(
    cluster: Cluster, database: Pair, report: Report, chance: random.Random, load: Load
) -> "Iterator[Callable[[], None]]":
    """All that may happen, again and again, in another order each time."""
    while True:
        control, other = chance.sample(cluster.names("control"), 2)
        gateway = chance.choice(cluster.names("gateway"))
        due: list[Callable[[], None]] = [
            partial(_kill, cluster, report, control),
            partial(_kill, cluster, report, other),
            partial(_kill, cluster, report, gateway),
            partial(_suspend, cluster, report, control, chance.uniform(1, 15)),
            partial(_restart, cluster, report, other),
            partial(_kill_pooler, database, report),
            partial(_fail_over, cluster, database, report, load),
            partial(_fail_over, cluster, database, report, load),
        ]
        chance.shuffle(due)
        yield from due


def _kill(cluster: Cluster, report: Report, name: str) -> None:
    report.failing(f"{name} is killed")
    cluster.processes[name].signal(signal.SIGKILL)


def _suspend(cluster: Cluster, report: Report, name: str, seconds: float) -> None:
    report.failing(f"{name} is suspended for {seconds:.1f} s")
    process = cluster.processes[name]
    process.signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.signal(signal.SIGCONT)


def _restart(cluster: Cluster, report: Report, name: str) -> None:
    report.failing(f"{name} is told to stop")
    cluster.processes[name].signal(signal.SIGTERM)


def _kill_pooler(database: Pair, report: Report) -> None:
    report.failing("PgBouncer is killed")
    database.kill_pooler()


def _fail_over(cluster: Cluster, database: Pair, report: Report, load: Load) -> None:
    """No gateway is harmed meanwhile: every tunnel that lasts has to outlive it."""
    wait_until(lambda: all(map(cluster.accepts, cluster.names("gateway"))), 90, cluster.log)
    steady = load.keep_steady()
    before = [each.rounds for each in steady]
    report.failing("the primary is killed")
    began = time.monotonic()
    database.fail_over()
    opened = load.echoed
    wait_until(lambda: load.echoed > opened, 60, lambda: f"{load.refusals}\n{cluster.log()}")
    report.failing(
        f"tunnels are opened again, and there is another standby, after {time.monotonic() - began:.1f} s"
    )
    alive = [not each.over and each.rounds > rounds for each, rounds in zip(steady, before, strict=True)]
    report.check(all(alive), f"{sum(alive)} of {len(alive)} tunnels that last outlived it")
    for each in steady:
        if not each.over:
            load.close(each)


def look_at_revocations(report: Report, revoked: list[Revoked]) -> None:
    """Promises are of processes with processors of their own: each counts as often as others had them."""
    quiet = [each for each in revoked if not each.has_failed]
    if quiet:
        clock, slowness = median(each.seconds for each in quiet), median(each.slowness for each in quiet)
        promised = median(each.seconds / each.slowness for each in quiet)
        report.check(
            promised <= PROMISED,
            f"revocations while all is well took {promised:.2f} s, the median of {len(quiet)}"
            f" ({clock:.2f} s by the clock, where a process took {slowness:.1f} times as long as alone)",
        )
        latest = max(quiet, key=lambda each: each.seconds - LOOKED - PROMISED * each.slowness)
        report.check(
            latest.seconds <= LOOKED + PROMISED * latest.slowness,
            f"and {latest.seconds:.2f} s at most (there {latest.slowness:.1f} times as long)",
        )
    longest = max((each.seconds for each in revoked), default=0)
    report.check(
        longest <= FAILED, f"revocations after failures took {longest:.2f} s at most ({len(revoked)})"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.ha", description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=600.0, help="how long things are killed")
    arguments.add_argument("--every", type=float, default=6.0, help="seconds between two of them")
    arguments.add_argument("--seed", type=int, default=None)
    given = arguments.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(1 << 32)
    urllib3.disable_warnings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    report, chance = Report(), random.Random(seed)
    report.say(f"seed {seed}")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hatchway-ha-")))
        directory.chmod(0o755)
        (directory / "database").mkdir()
        database = stack.enter_context(pair(directory / "database"))
        database.start_pooler()
        before = stack.enter_context(program_before())
        source = None if before is None else before[1]
        cluster = Cluster(directory, database.plain_url, source)
        stack.callback(cluster.stop)
        if before is None:
            report.say("no history of git: this version alone is tried")
            cluster.add_control("control-2", database.url)
            cluster.add_gateway("gateway-2", database.url)
        else:
            report.say(f"the version before is {before[0]}")
            upgrade(cluster, database, report, before[1])
        load = Load(cluster, seed)
        load.start()
        loading = stack.enter_context(ExitStack())
        loading.callback(load.stop)
        administrators, crowd, revocations = (
            Administrators(cluster),
            Crowd(cluster),
            Revocations(cluster, report),
        )
        each = (administrators, crowd, revocations)
        for one in each:
            one.start()
        load.wait_for_more(20)
        if before is not None:
            report.failing("control-1 and gateway-1 become this version's")
            cluster.add_control("control-1", database.url)
            cluster.add_gateway("gateway-1", database.url)
        else:
            cluster.add_control("control-1", database.url)
            cluster.add_gateway("gateway-1", database.url)
        cluster.add_gateway("gateway-3", database.pooled_url)
        load.wait_for_more(20)
        until = time.monotonic() + given.seconds
        for happens in harm(cluster, database, report, chance, load):
            happens()
            time.sleep(given.every)
            if time.monotonic() > until:
                break
        report.say("nothing is killed any more")
        load.wait_for_more(20)
        for one in each:
            one.stop()
        loading.close()
        report.say(
            f"     {load.echoed} tunnels were used, {len(administrators.made)} users made,"
            f" {crowd.opened} tunnels opened through the narrow endpoint; clients were told"
            f" {dict(load.refusals.most_common(6))},"
            f" administrators {dict(administrators.refused)}"
        )
        report.check(
            crowd.most <= QUOTA, f"its quota of {QUOTA} was never exceeded (most at once: {crowd.most})"
        )
        look_at_revocations(report, revocations.took)
        ids = look(database.url, report, administrators.made, load.carried)
        look_at_files(directory, report, ids)
        look_at_programs(directory, report, cluster)
        if report.problems:
            report.say(f"the seed was {seed}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
