"""Programs of before on stores that this one migrates under them, while people use what they serve.

    python -m tests.ha.upgrades [--store postgresql|sqlite] [--since SCHEMA] [PROGRAM ...]

The last program of each schema since the first release is taken from git and run by the packages of now. It
makes an account, serves it, and goes on while `hatchway migrate` brings the store to this program's schema;
in PostgreSQL somebody reads all tables meanwhile, as a backup does. Then: does it go on, does it start again,
does it stop when the store says that it is too old, and is all that it acknowledged there? Exits with 1 when
something is not as the schema says (`oldest_program`). What cannot even make an account by itself, with the
packages of now, is skipped by name.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import urllib3
from sqlalchemy import create_engine, text, update
from tests.e2e.fault_load import Load
from tests.e2e.fault_server import FLEET
from tests.e2e.waiting import wait_until
from tests.ha.cluster import Cluster, environment, hatchway_command
from tests.ha.history import Earlier, earlier_programs, sources
from tests.ha.looking import look
from tests.ha.people import Administrators
from tests.ha.report import Report
from tests.ha.slowness import Slowness
from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs

from hatchway.store import oldest_program, own_schema
from hatchway.store.tables import feed

STORES = ("postgresql", "sqlite")
FIRST_GUARDED = "0028"
"""The first schema whose program knows which ones suit it, looks again and again, starts on a newer one."""
LOCK_HELD = 2.0
"""Seconds for which others wait behind a migration at most: its `lock_timeout`."""
_READ_FOR = 3.0
"""Seconds for which somebody goes on reading all tables when the migration waits for that."""
_ITSELF = 0.5
"""Seconds that a migration may take itself when it has its locks, with a processor of its own."""
_SEEN = 20.0
"""Seconds for a process to see that its store does not suit it, or does again: it looks every 5."""
_OLD, _NEW = ("control-old", "gateway-old"), ("control-new", "gateway-new")
_WAITED = re.compile(
    r"^(?P<application>[^|]*)\|.*process \d+ (?:acquired|still waiting).* after (?P<ms>[\d.]+) ms"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one program on one store. `waited` is the longest that others waited for a lock, in seconds."""

    program: str
    store: str
    steps: int
    seconds: float
    waited: float | None
    slowest: float
    after: str


class Skipped(Exception):
    """That program cannot be run here by itself."""


def run(
    program: Earlier, store: str, server: PostgresqlServer | None, directory: Path, report: Report
) -> Outcome:
    """
    Raises:
        Skipped: it cannot be tried.
        AssertionError: what had to happen did not.
    """
    with ExitStack() as stack:
        source = stack.enter_context(sources(program.commit))
        url = f"sqlite:///{directory}/account/hatchway.db" if server is None else server.new_database()
        try:
            cluster = Cluster(directory, url, source, fleet=FLEET, apart=server is not None)
            stack.callback(cluster.stop)
            cluster.add_control(_OLD[0], url, source)
            cluster.add_gateway(_OLD[1], url, source)
        except AssertionError as problem:
            raise Skipped(str(problem).strip().splitlines()[-1]) from problem
        load, administrators = Load(cluster, 1), Administrators(cluster)
        load.start()
        using = stack.enter_context(ExitStack())
        using.callback(load.stop)
        administrators.start()
        using.callback(administrators.stop)
        load.wait_for_more(10)
        steady = load.keep_steady()
        rounds = [each.rounds for each in steady]
        administrators.slowest = 0.0
        with closing(Slowness()) as slowness, reading(url), waits(server) as waited:
            slow = [slowness.now()]
            migrated = migrate(url)
            slow.append(slowness.now())
        slowest = administrators.slowest
        report.say(f"     {len(migrated['steps'])} migrations took {sum(migrated['steps'].values()):.2f} s")
        if server is not None:
            longest = waited()
            report.check(
                longest <= LOCK_HELD + _ITSELF * max(slow),
                f"nobody waited for a lock for longer than {longest:.2f} s, where a process took"
                f" {max(slow):.1f} times as long as alone",
            )
        for name, add in zip(_NEW, (cluster.add_control, cluster.add_gateway), strict=True):
            add(name, url)
        cluster.only = _OLD
        after = _see_old(program, load, administrators, report)
        if suits(program):
            alive = sum(
                not each.over and each.rounds > before for each, before in zip(steady, rounds, strict=True)
            )
            report.check(alive == len(steady), f"{alive} of {len(steady)} tunnels from before go on")
            after += _restart_old(program, cluster, load, report)
        cluster.only = _NEW
        _more(load, administrators)
        if program.schema >= FIRST_GUARDED:
            _exclude_old(cluster, load, administrators, url, report)
        for each in steady:
            if not each.over:
                load.close(each)
        using.close()
        cluster.stop()
        look(url, report, administrators.made, load.carried)
        of_interest = (*_NEW, *_OLD) if suits(program) else _NEW
        traces = [
            name
            for name, process in cluster.processes.items()
            if name in of_interest and "Traceback" in process.log()
        ]
        report.check(not traces, f"no process has told of a fault of its own ({traces})")
    return Outcome(
        program.name,
        store,
        len(migrated["steps"]),
        sum(migrated["steps"].values()),
        None if server is None else longest,
        slowest,
        after,
    )


def suits(program: Earlier) -> bool:
    """Whether it is promised to go on on a store of this program's schema."""
    oldest = oldest_program(own_schema())
    return oldest is not None and program.schema >= oldest


def migrate(url: str) -> "dict[str, dict[str, float]]":
    """By this version's command; what it says of itself."""
    if url.startswith("postgresql"):
        url += "&application_name=migrating"
    command = hatchway_command("migrate", "--json", "--store-url", url, "--data-dir", "/nonexistent")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment(None)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{"), done.stdout
    report: dict[str, dict[str, float]] = json.loads(done.stdout)
    return report


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Somebody reads each table for a while, as a backup by the database's own tools does."""
    if not url.startswith("postgresql"):
        yield
        return
    begun, over = threading.Event(), threading.Event()
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'migrating' AND wait_event_type = 'Lock'"
    )

    def read() -> None:
        engine = create_engine(url)
        with engine.connect() as connection, engine.connect() as other:
            tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
            for table in tables.all():
                connection.execute(text(f'SELECT 1 FROM "{table}" LIMIT 1'))
            begun.set()
            while not over.wait(0.05) and not other.scalar(waiting):
                other.rollback()
            over.wait(_READ_FOR)
        engine.dispose()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(60)
    try:
        yield
    finally:
        over.set()
        reader.join()


@contextmanager
def waits(server: PostgresqlServer | None) -> Iterator[Callable[[], float]]:
    """How long others than whoever migrates waited for a lock meanwhile at most, in seconds."""
    if server is None:
        yield lambda: 0.0
        return
    before = len(server.log())

    def longest() -> float:
        found = map(_WAITED.match, server.log()[before:].splitlines())
        report = [float(each["ms"]) / 1000 for each in found if each and each["application"] != "migrating"]
        return max(report, default=0.0)

    yield longest


def _more(load: Load, administrators: Administrators, seconds: float = 60) -> None:
    opened, made = load.echoed, len(administrators.made)
    wait_until(
        lambda: load.echoed >= opened + 10 and len(administrators.made) >= made + 3,
        seconds,
        lambda: f"{load.refusals} {administrators.refused}",
    )


def _see_old(program: Earlier, load: Load, administrators: Administrators, report: Report) -> str:
    """What the old processes do now, in words for the table."""
    try:
        _more(load, administrators, 60 if suits(program) else 15)
    except AssertionError as problem:
        if suits(program):
            report.check(False, f"the program of before goes on ({str(problem)[:300]})")
        return "stops"
    report.check(True, "the program of before opens tunnels and answers calls")
    return "goes on"


def _restart_old(program: Earlier, cluster: Cluster, load: Load, report: Report) -> str:
    gateway = cluster.processes[_OLD[1]]
    ready, started = gateway.log().count("\nready "), gateway.started
    gateway.end()
    if program.schema < FIRST_GUARDED:
        wait_until(lambda: gateway.started > started + 1, 240, gateway.log)
        report.check(gateway.log().count("\nready ") == ready, "it starts no more")
        cluster.only = _NEW
        cluster.remove(_OLD[1])
        return ", starts no more"
    wait_until(lambda: gateway.log().count("\nready ") > ready, 240, gateway.log)
    load.wait_for_more(10)
    report.check(True, "its gateway starts again, and opens tunnels")
    return ", starts again"


def _exclude_old(
    cluster: Cluster, load: Load, administrators: Administrators, url: str, report: Report
) -> None:
    """As a later schema would that takes no programs of before any more."""
    engine = create_engine(url)

    def say(oldest: str) -> None:
        with engine.begin() as connection:
            connection.execute(update(feed).values(suits=f"{oldest}..{own_schema()}"))

    def idle() -> bool:
        opened, made = load.echoed, len(administrators.made)
        time.sleep(2)
        return load.echoed == opened and len(administrators.made) == made

    former = oldest_program(own_schema())
    assert former is not None
    say(own_schema())
    time.sleep(_SEEN / 3)
    cluster.only = _OLD
    with suppress(AssertionError):
        wait_until(idle, _SEEN)
    report.check(idle(), "it opens no tunnel and answers no call once the store says that it is too old")
    cluster.only = _NEW
    _more(load, administrators)
    cluster.only = _OLD
    say(former)
    _more(load, administrators)
    report.check(True, "and goes on when the store suits it again")
    engine.dispose()


def chosen(found: Sequence[Earlier], named: Sequence[str], since: str | None = None) -> list[Earlier]:
    """Those that are `named`, by schema, release or commit; without a name all from the schema `since` on.

    Raises:
        SystemExit: there is none of a name.
    """
    if not named:
        first = since or next((each.schema for each in found if each.release), found[0].schema)
        return [each for each in found if first <= each.schema < own_schema()]
    for name in named:
        if not any(name in {each.schema, each.release, each.commit} for each in found):
            known = ", ".join(each.name for each in found)
            raise SystemExit(f"there is no program of before this one that is {name}: choose from {known}")
    return [each for each in found if {each.schema, each.release, each.commit} & {*named}]


def main() -> int:
    arguments = argparse.ArgumentParser(
        prog="python -m tests.ha.upgrades", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("programs", nargs="*", help="these alone, by schema, release or commit")
    arguments.add_argument("--store", choices=STORES, action="append", help="one kind alone")
    arguments.add_argument("--since", help="the first schema; that of the first release otherwise")
    given = arguments.parse_args()
    urllib3.disable_warnings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report, outcomes = Report(), list[Outcome]()
    skipped: list[str] = []
    found = earlier_programs()
    if not found:
        raise SystemExit("there is no history of git here, so there is no program of before")
    programs = chosen(found, given.programs, given.since)
    with ExitStack() as stack:
        binaries = server_programs()
        server = None if binaries is None else stack.enter_context(postgresql_server(binaries))
        if server is not None:
            server.tell_of_waits()
        for program in programs:
            for store in given.store or STORES:
                if store == "postgresql" and server is None:
                    skipped.append("PostgreSQL's server is missing: install Debian's package postgresql")
                    continue
                report.say(f"{program.name} on {store}")
                with tempfile.TemporaryDirectory(prefix="hatchway-upgrade-") as directory:
                    Path(directory).chmod(0o755)
                    one = partial(run, program, store, server if store == "postgresql" else None)
                    try:
                        outcomes.append(one(Path(directory), report))
                    except Skipped as problem:
                        skipped.append(f"{program.name} on {store}: {problem}")
                        report.say(f"skip {problem}")
                    except AssertionError as problem:
                        report.check(False, f"{program.name} on {store}: {str(problem)[-3000:]}")
    _table(outcomes)
    for each in dict.fromkeys(skipped):
        print(f"not tried: {each}")
    return 1 if report.problems or not outcomes else 0


def _table(outcomes: list[Outcome]) -> None:
    print("| program of schema | store | migrations | took | longest wait for a lock | slowest call | then |")
    print("|---|---|---|---|---|---|---|")
    for each in outcomes:
        waited = "-" if each.waited is None else f"{each.waited:.2f} s"
        print(
            f"| {each.program} | {each.store} | {each.steps} | {each.seconds:.2f} s | {waited}"
            f" | {each.slowest:.2f} s | {each.after} |"
        )


if __name__ == "__main__":
    sys.exit(main())
