"""Control planes and gateways whose wires to the store are cut, and three PostgreSQL servers with theirs.

    python -m tests.ha.network [--only NAME]

Each server is a network namespace of its own (`tests.ha.wires`); two standbys follow the primary, of which
any one has to have each commit (`ANY 1`). Under load, wires are cut without a word: between one gateway or
control plane and the store, PgBouncer and the store, the primary and its standbys; and the primary loses all
of its wires at once, its power with them, and either standby takes over. Then all is looked at: exits with 1
when something does not hold.
"""

import argparse
import asyncio
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import urllib3
from sqlalchemy.exc import OperationalError
from tests.e2e.fault_load import Load, Steady
from tests.e2e.fault_server import ENDPOINT
from tests.e2e.waiting import wait_until
from tests.ha.cluster import Cluster
from tests.ha.database import Pooler, Programs, Server
from tests.ha.looking import look, look_at_files, look_at_programs
from tests.ha.people import Administrators
from tests.ha.report import Report
from tests.ha.wires import Wires, in_own_network, wires
from tests.store.postgresql_server import SUPERUSER
from tests.transport.harness import LOOPBACK, Closed, WebSocket

from hatchway.store import Store

MINE: Final = 0
"""The network by which the servers are told what to do here."""
NETWORKS: Final = {"control-1": 1, "control-2": 2, "gateway-1": 3, "gateway-2": 4, "gateway-3": 5}
"""By which each process reaches the servers; the last through PgBouncer."""
REPLICATION: Final = 6
OTHERS: Final = 20.0
"""Seconds for which others may stand still, by what one who is cut off holds: the server notices in 13."""
BACK: Final = 40.0
"""Seconds after a wire is mended within which all is as before."""
ANSWERED: Final = 45.0
"""Seconds within which somebody is answered, though the store is not: 20 to 25 and an attempt to connect."""
FAIL_CLOSED: Final = 50.0 + 15.0
"""Seconds after which a gateway without its store has ended its tunnels, and what a busy machine adds."""
TAKEN_OVER: Final = 60.0


class Servers:
    """Three of them, one the primary."""

    def __init__(self, wired: Wires, directory: Path) -> None:
        self._wires = wired
        self._programs = Programs(directory)
        self.machines = {f"s{machine.number}": machine for machine in wired.machines}
        self.all = {
            name: Server(
                self._programs,
                directory,
                name=name,
                address=machine.address(MINE),
                network_of=machine.pid,
            )
            for name, machine in self.machines.items()
        }
        self.primary = "s1"
        self.pooler = Pooler(self._programs, directory)

    @property
    def standbys(self) -> list[str]:
        return [name for name in self.all if name != self.primary]

    def start(self) -> None:
        self.all[self.primary].make()
        self.all[self.primary].start()
        for name in self.standbys:
            self.attach(name)
        self.require()
        self.point_pooler(self.pooler.start)

    def stop(self) -> None:
        self.pooler.stop()
        for server in self.all.values():
            with suppress(OSError, ValueError):
                server.kill()

    def attach(self, name: str) -> None:
        """A new standby of the primary, which it copies."""
        primary = self.all[self.primary]
        self.all[name].make_standby_of(primary, self._replicates(self.primary))
        self.all[name].start()
        self.wait_for_streaming(name)

    def wait_for_streaming(self, name: str) -> None:
        wait_until(lambda: name in self.streaming(), 60, lambda: f"{name} follows nobody")

    def streaming(self) -> set[object]:
        query = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"
        return {row[0] for row in self.all[self.primary].execute(query)}

    def require(self) -> None:
        self.all[self.primary].require_standby(f"ANY 1 ({', '.join(self.standbys)})")

    def promote(self, name: str) -> None:
        """Puts a standby into the primary's place, which the other standby follows from then on."""
        former, self.primary = self.primary, name
        (other,) = (each for each in self.standbys if each != former)
        self.all[name].promote()
        self.require()
        self.all[other].follow(self.all[name], self._replicates(name))
        self.point_pooler(self.pooler.point)

    def point_pooler(self, how: Callable[[str, int], None]) -> None:
        machine = self.machines[self.primary]
        how(machine.address(NETWORKS["gateway-3"]), self.all[self.primary].port)

    def received(self, name: str) -> int:
        """How far a standby has what the primary wrote."""
        ((found,),) = self.all[name].execute("SELECT (pg_last_wal_receive_lsn() - '0/0'::pg_lsn)::bigint")
        assert isinstance(found, int)
        return found

    def url(self, network: int) -> str:
        """Of all, as one process reaches them."""
        at = (f"{self.machines[name].address(network)}:{server.port}" for name, server in self.all.items())
        return f"postgresql://{SUPERUSER}@{','.join(at)}/postgres?target_session_attrs=read-write"

    def _replicates(self, name: str) -> str:
        return self.machines[name].address(REPLICATION)

    @contextmanager
    def cut(self, network: int, *names: str) -> Iterator[None]:
        """Between a process's network and some of the servers, or all."""
        machines = [self.machines[name] for name in names or self.machines]
        for machine in machines:
            self._wires.cut(network, machine)
        try:
            yield
        finally:
            for machine in machines:
                self._wires.mend(network, machine)

    @contextmanager
    def cut_replication(self, *names: str) -> Iterator[None]:
        """Between the primary and some standbys."""
        primary = self.machines[self.primary]
        for name in names:
            self._wires.cut_between(REPLICATION, primary, self.machines[name])
        try:
            yield
        finally:
            for name in names:
                self._wires.mend_between(REPLICATION, primary, self.machines[name])


class Trial:
    """All that there is, and what is done to it."""

    def __init__(
        self, servers: Servers, cluster: Cluster, load: Load, administrators: Administrators, report: Report
    ) -> None:
        self.servers = servers
        self.cluster = cluster
        self.load = load
        self.administrators = administrators
        self.report = report
        self._target = Target()

    def only(self, *names: str) -> None:
        """Whom people use from now on; all, where none is named."""
        self.cluster.only = names

    def others(self, name: str) -> None:
        """All but this one; nobody waits for it any more afterwards."""
        self.only(*(each for each in self.cluster.processes if each != name))
        made = len(self.administrators.made)
        wait_until(lambda: len(self.administrators.made) > made + 1, 90)

    def steady(self, *gateways: str) -> list[Steady]:
        """Tunnels that last, through these."""
        former = self.cluster.only
        self.only(*gateways, *self.cluster.names("control"))
        try:
            return self.load.keep_steady()
        finally:
            self.cluster.only = former

    def lived(self, steady: list[Steady], what: str) -> None:
        before = [each.rounds for each in steady]
        with suppress(AssertionError):
            wait_until(lambda: all(each.rounds > was for each, was in zip(steady, before, strict=True)), 10)
        alive = sum(not each.over and each.rounds > was for each, was in zip(steady, before, strict=True))
        self.report.check(alive == len(steady), f"{alive} of {len(steady)} tunnels that last outlived {what}")
        for each in steady:
            if not each.over:
                self.load.close(each)

    def back(self, what: str, seconds: float = BACK) -> None:
        """Everybody works again, each gateway and each control plane."""
        began = time.monotonic()
        lacking = set(self.cluster.processes)

        def works() -> bool:
            for name in sorted(lacking):
                if self.answers(name) if name.startswith("control") else self.opens(name):
                    lacking.discard(name)
            return not lacking

        with suppress(AssertionError):
            wait_until(works, seconds + 30)
        took = time.monotonic() - began
        self.report.check(
            not lacking and took <= seconds, f"all work again {took:.1f} s after {what} ({sorted(lacking)})"
        )

    def opens(self, gateway: str) -> bool:
        return asyncio.run(self._open(gateway))

    async def _open(self, gateway: str) -> bool:
        try:
            async with asyncio.timeout(2 * ANSWERED):
                target = self.cluster.target(self._target.port, "alice", ENDPOINT)
                client = await WebSocket.open(self.cluster.port(gateway), target)
                try:
                    await client.send(b"x")
                    await client.receive(1)
                finally:
                    client.vanish()
        except TimeoutError:
            raise AssertionError(f"{gateway} does not answer") from None
        except (AssertionError, Closed, OSError, EOFError):
            return False
        return True

    def answers(self, control: str) -> bool:
        former, self.cluster.only = self.cluster.only, (control,)
        try:
            (client,) = self.cluster.clients("iam")
        finally:
            self.cluster.only = former
        try:
            client.get_user(UserName="alice")
        except Exception:
            return False
        return True

    @contextmanager
    def watched(self, what: str, most: float = OTHERS) -> Iterator[None]:
        """For how long nobody opened a tunnel, or nobody made a user, of those whom people use."""
        stopping = threading.Event()
        longest = {"tunnels": 0.0, "calls": 0.0}

        def watch() -> None:
            def counts() -> dict[str, int]:
                return {"tunnels": self.load.echoed, "calls": len(self.administrators.made)}

            seen, since = counts(), dict.fromkeys(longest, time.monotonic())
            while not stopping.wait(0.05):
                now = time.monotonic()
                for name, count in counts().items():
                    if count != seen[name]:
                        since[name] = now
                    longest[name] = max(longest[name], now - since[name])
                seen = counts()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
        self.report.check(
            max(longest.values()) <= most,
            f"{what}: others opened no tunnel for {longest['tunnels']:.1f} s at most, and had no answer for"
            f" {longest['calls']:.1f} s",
        )


class Target:
    """What tunnels lead to: it gives one byte back to each."""

    def __init__(self) -> None:
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with suppress(OSError), connection:
                connection.settimeout(10)
                connection.sendall(connection.recv(1))


def gateway_cut_off(trial: Trial) -> None:
    """It opens nothing, answers all the same, and ends what it has before it is taken for dead."""
    steady = trial.steady("gateway-1")
    trial.others("gateway-1")
    with trial.watched("gateway-1 cut off from the store"), trial.servers.cut(NETWORKS["gateway-1"]):
        began = time.monotonic()
        opened = trial.opens("gateway-1")
        trial.report.check(not opened, "it opens no tunnel that it cannot enter")
        took = time.monotonic() - began
        trial.report.check(took <= ANSWERED, f"and said so after {took:.1f} s")
        with suppress(AssertionError):
            wait_until(lambda: all(each.over for each in steady), FAIL_CLOSED)
        over = sum(each.over for each in steady)
        trial.report.check(
            over == len(steady),
            f"it has ended {over} of its {len(steady)} after {time.monotonic() - began:.1f} s",
        )
        time.sleep(5)
    trial.back("the wire is mended")


def gateways_cut_off_briefly(trial: Trial) -> None:
    """Shorter than any lease: nobody with a tunnel notices."""
    steady = trial.steady(*trial.cluster.names("gateway"))
    with ExitStack() as cuts:
        for name in trial.cluster.names("gateway"):
            cuts.enter_context(trial.servers.cut(NETWORKS[name]))
        time.sleep(10)
    trial.back("all gateways were cut off for 10 s")
    trial.lived(steady, "it")


def pooler_cut_off(trial: Trial) -> None:
    """PgBouncer lives, and answers nothing: a gateway behind it may not wait for ever."""
    trial.others("gateway-3")
    with trial.watched("PgBouncer cut off from the store"), trial.servers.cut(NETWORKS["gateway-3"]):
        began = time.monotonic()
        opened = trial.opens("gateway-3")
        took = time.monotonic() - began
        trial.report.check(
            not opened and took <= ANSWERED,
            f"the gateway behind it opens nothing, and said so after {took:.1f} s",
        )
        time.sleep(30)
    trial.back("the wire is mended")


def control_plane_cut_off(trial: Trial) -> None:
    """Each in turn, so that the leader is: another leads, and nobody waits for what it held."""
    for name in ("control-1", "control-2"):
        (other,) = {"control-1", "control-2"} - {name}
        leads = _leads(trial, name)
        trial.others(name)
        log = trial.cluster.processes[other].log
        before = log().count("leads now")
        with (
            trial.watched(f"{name} cut off{', which led' if leads else ''}"),
            trial.servers.cut(NETWORKS[name]),
        ):
            began = time.monotonic()
            if leads:
                with suppress(AssertionError):
                    wait_until(lambda: log().count("leads now") >= before + 2, 60)  # noqa: B023
                took = time.monotonic() - began
                trial.report.check(
                    log().count("leads now") >= before + 2 and took <= 2 * OTHERS,
                    f"{other} leads after {took:.1f} s",
                )
            time.sleep(max(0.0, 30 - (time.monotonic() - began)))
            began = time.monotonic()
            trial.report.check(
                not trial.answers(name) and time.monotonic() - began <= ANSWERED,
                f"{name} says that it cannot answer, after {time.monotonic() - began:.1f} s",
            )
        trial.back("the wire is mended")


def _leads(trial: Trial, name: str) -> bool:
    pids = {str(trial.cluster.processes[name].pid)}
    pids |= {str(pid) for pid in _children(trial.cluster.processes[name].pid)}
    holders = trial.servers.all[trial.servers.primary].execute("SELECT holder FROM leaders")
    return any(str(holder).split("/")[4] in pids for (holder,) in holders if holder)


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def account_locked(trial: Trial) -> None:
    """Somebody is cut off in the middle of a change of the account, which no other can make meanwhile."""
    trial.others("control-1")
    locked, over = threading.Event(), threading.Event()

    def change() -> None:
        # The change is lost with the connection, as it has to be.
        with (
            suppress(OperationalError),
            closing(Store.open(trial.servers.url(NETWORKS["control-1"]))) as store,
            store.write(),
        ):
            locked.set()
            over.wait()

    changing = threading.Thread(target=change)
    changing.start()
    locked.wait(60)
    with (
        trial.watched("whoever changes the account is cut off"),
        trial.servers.cut(NETWORKS["control-1"]),
    ):
        time.sleep(2 * OTHERS)
        over.set()
        changing.join()
    trial.back("the wire is mended")


def one_standby_cut_off(trial: Trial) -> None:
    """The other has each commit."""
    name = trial.servers.standbys[0]
    steady = trial.steady(*trial.cluster.names("gateway"))
    with (
        trial.watched(f"{name}, a standby, cut off from its primary", 10),
        trial.servers.cut_replication(name),
    ):
        time.sleep(20)
    trial.lived(steady, "it")
    trial.servers.wait_for_streaming(name)


def all_standbys_cut_off(trial: Trial) -> None:
    """No commit is answered, and none is lost; it goes on when one is back."""
    steady = trial.steady(*trial.cluster.names("gateway"))
    with trial.servers.cut_replication(*trial.servers.standbys):
        time.sleep(2)
        made, opened = len(trial.administrators.made), trial.load.echoed
        time.sleep(15)
        trial.report.check(
            (made, opened) == (len(trial.administrators.made), trial.load.echoed),
            f"nothing is acknowledged that no standby has ({len(trial.administrators.made) - made} users,"
            f" {trial.load.echoed - opened} tunnels)",
        )
    trial.back("the wires are mended")
    trial.lived(steady, "it")


def first_standby_takes_over(trial: Trial) -> None:
    """The primary's machine vanishes; who has a connection to it is told nothing."""
    _take_over(trial, trial.servers.standbys[0])


def second_standby_takes_over(trial: Trial) -> None:
    _take_over(trial, trial.servers.standbys[1])


def _take_over(trial: Trial, name: str) -> None:
    servers = trial.servers
    former = servers.primary
    (other,) = (each for each in servers.standbys if each != name)
    steady = trial.steady(*trial.cluster.names("gateway"))
    with ExitStack() as cuts:
        # The one that is ahead has to be promoted, and is another each time.
        cuts.enter_context(servers.cut_replication(other))
        trial.load.wait_for_more(20)
        for network in (MINE, *NETWORKS.values()):
            cuts.enter_context(servers.cut(network, former))
        cuts.enter_context(servers.cut_replication(name))
        began = time.monotonic()
        servers.all[former].kill()
        ahead, lags = servers.received(name), servers.received(other)
        trial.report.say(f"{former}, the primary, vanishes; {name} is {ahead - lags} bytes ahead of {other}")
        trial.report.check(ahead >= lags, f"{name} has all that was acknowledged")
        servers.promote(name)
        opened, made = trial.load.echoed, len(trial.administrators.made)
        with suppress(AssertionError):
            wait_until(
                lambda: trial.load.echoed > opened + 5 and len(trial.administrators.made) > made,
                2 * TAKEN_OVER,
            )
        took = time.monotonic() - began
        trial.report.check(
            took <= TAKEN_OVER, f"tunnels are opened and calls answered again after {took:.1f} s"
        )
        trial.back("that", TAKEN_OVER)
        trial.lived(steady, "it")
    servers.attach(former)
    servers.wait_for_streaming(other)
    trial.report.say(f"{former} is a standby now")


SCENARIOS: Final[tuple[Callable[[Trial], None], ...]] = (
    gateways_cut_off_briefly,
    account_locked,
    control_plane_cut_off,
    one_standby_cut_off,
    all_standbys_cut_off,
    first_standby_takes_over,
    gateway_cut_off,
    pooler_cut_off,
    second_standby_takes_over,
)


def main() -> int:
    arguments = argparse.ArgumentParser(
        prog="python -m tests.ha.network", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--only", action="append", choices=[each.__name__ for each in SCENARIOS])
    given = arguments.parse_args()
    in_own_network("tests.ha.network")
    urllib3.disable_warnings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    report = Report()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hatchway-ha-")))
        directory.chmod(0o755)
        (directory / "database").mkdir()
        wired = stack.enter_context(wires(3, REPLICATION + 1))
        servers = Servers(wired, directory / "database")
        stack.callback(servers.stop)
        servers.start()
        report.say("a primary and two standbys run")
        cluster = Cluster(directory, servers.url(MINE))
        stack.callback(cluster.stop)
        for name, network in NETWORKS.items():
            add = cluster.add_control if name.startswith("control") else cluster.add_gateway
            add(name, servers.pooler.url if name == "gateway-3" else servers.url(network))
        load, administrators = Load(cluster, 1), Administrators(cluster)
        load.start()
        using = stack.enter_context(ExitStack())
        using.callback(load.stop)
        administrators.start()
        using.callback(administrators.stop)
        load.wait_for_more(20)
        trial = Trial(servers, cluster, load, administrators, report)
        for scenario in SCENARIOS:
            if given.only and scenario.__name__ not in given.only:
                continue
            report.say(f"-- {scenario.__name__.replace('_', ' ')}")
            trial.only()
            try:
                scenario(trial)
            except AssertionError as problem:
                report.check(False, f"{scenario.__name__}: {str(problem)[-2000:]}")
            trial.only()
        load.wait_for_more(20)
        using.close()
        report.say(f"     {load.echoed} tunnels were used, {len(administrators.made)} users made")
        ids = look(servers.url(MINE), report, administrators.made, load.carried)
        look_at_files(directory, report, ids)
        look_at_programs(directory, report, cluster)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
