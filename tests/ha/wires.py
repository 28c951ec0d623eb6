"""Machines for database servers, each a network namespace, on wires that can be cut.

All of it is in the network namespace of the calling process, which `in_own_network` gives it, and is gone
with that. A cut is silent: packets go to a hardware address that nobody has, both ways, as with a cable that
is pulled behind a switch, or a firewall that drops. Who has a connection is told nothing.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_INSIDE = "HATCHWAY_HA_NETWORK"
_NOBODY = "02:00:00:00:00:fe"
_BRIDGE = "wires"
OWN = 254
"""The calling process in each network, as the last number of its address."""


def in_own_network(module: str) -> None:
    """Begins the program anew in a network of its own, unless it is in one."""
    if os.environ.get(_INSIDE):
        return
    if os.geteuid() != 0:
        raise SystemExit("only root can make network namespaces")
    command = ["unshare", "--net", sys.executable, "-u", "-m", module, *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})


class Machine:
    """A network namespace, held by a process that ends with this one."""

    def __init__(self, number: int) -> None:
        self.number = number
        script = "ip link set lo up && echo ready && exec cat"
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    @property
    def pid(self) -> int:
        return self._process.pid

    def address(self, network: int) -> str:
        return address(network, self.number)

    def ip(self, words: str) -> None:
        _run("nsenter", "--target", str(self.pid), "--net", "ip", *words.split())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Wires:
    """Machines and the calling process on one bridge, with networks beside each other.

    A network is a number, 0 to 255. What uses one by its addresses is cut off there, and only there.
    """

    def __init__(self, machines: int, networks: int) -> None:
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", _BRIDGE, "type", "bridge")
        _run("ip", "link", "set", _BRIDGE, "up")
        self.machines = [Machine(number) for number in range(1, machines + 1)]
        for machine in self.machines:
            name = f"wire-{machine.number}"
            peer = ("peer", "name", "eth0", "netns", str(machine.pid))
            _run("ip", "link", "add", name, "type", "veth", *peer)
            _run("ip", "link", "set", name, "master", _BRIDGE, "up")
            machine.ip("link set eth0 up")
            for network in range(networks):
                machine.ip(f"addr add {machine.address(network)}/24 dev eth0")
        for network in range(networks):
            _run("ip", "addr", "add", f"{address(network, OWN)}/24", "dev", _BRIDGE)

    def cut(self, network: int, machine: Machine) -> None:
        """Between a machine and the calling process."""
        machine.ip(f"neigh replace {address(network, OWN)} lladdr {_NOBODY} dev eth0 nud permanent")
        here = ("lladdr", _NOBODY, "dev", _BRIDGE, "nud", "permanent")
        _run("ip", "neigh", "replace", machine.address(network), *here)

    def mend(self, network: int, machine: Machine) -> None:
        machine.ip(f"neigh del {address(network, OWN)} dev eth0")
        _run("ip", "neigh", "del", machine.address(network), "dev", _BRIDGE)

    @staticmethod
    def cut_between(network: int, one: Machine, other: Machine) -> None:
        """Between two machines."""
        for here, there in ((one, other), (other, one)):
            here.ip(f"neigh replace {there.address(network)} lladdr {_NOBODY} dev eth0 nud permanent")

    @staticmethod
    def mend_between(network: int, one: Machine, other: Machine) -> None:
        for here, there in ((one, other), (other, one)):
            here.ip(f"neigh del {there.address(network)} dev eth0")

    def stop(self) -> None:
        for machine in self.machines:
            machine.stop()
        _run("ip", "link", "del", _BRIDGE)


@contextmanager
def wires(machines: int, networks: int) -> Iterator[Wires]:
    """They are there meanwhile."""
    made = Wires(machines, networks)
    try:
        yield made
    finally:
        made.stop()


def address(network: int, number: int) -> str:
    return f"10.77.{network}.{number}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60)
