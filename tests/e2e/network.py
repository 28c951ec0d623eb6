"""A private network of machines around a gateway."""

import ipaddress
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.e2e.machines import PRIVATE_DIRECTORIES, SHARED_TMP_DIRECTORIES, Machine
from tests.e2e.waiting import wait_until


class Network:
    """A gateway machine and others, each on a wire of its own to it; the gateway routes between them.

    Outside nothing of it is seen: the wires are made in the machines' namespaces, and nothing leads out.

    Attributes:
        gateway: the machine at `GATEWAY` and `GATEWAY6`, for the server and its clients. Its `/tmp` is the
            test run's own, so that they share files.
    """

    GATEWAY = "10.0.1.254"
    GATEWAY6 = "fd00:10:0:1::fe"

    def __init__(self, layers: Path) -> None:
        self._layers = layers
        self._machines: list[Machine] = []
        self.gateway = self._add("gateway", SHARED_TMP_DIRECTORIES)
        self.gateway.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], check=True)
        self.gateway.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"], check=True)

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def machine(self, name: str, *addresses: str) -> Machine:
        """Add a machine with these IPv4 and IPv6 addresses, any at all, that all the others can reach."""
        machine = self._add(name, PRIVATE_DIRECTORIES)
        self._wire(machine, addresses)
        return machine

    def remove(self, machine: Machine) -> None:
        """End a machine, as if it had lost its power. Its addresses are free again."""
        self._machines.remove(machine)
        machine.stop()
        # The kernel takes the interfaces away a moment after the last process has gone.
        wait_until(
            lambda: (
                f" {_interface(machine)}@" not in self.gateway.run(["ip", "-o", "link"], check=True).stdout
            ),
            10,
            lambda: f"the wire to {machine} is still there",
        )

    def stop(self) -> None:
        """End all machines. Twice is harmless."""
        while self._machines:
            self._machines.pop().stop()

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of all machines that are running."""
        return frozenset().union(*(machine.namespaces for machine in self._machines))

    def _add(self, name: str, private: Iterable[str]) -> Machine:
        layers = self._layers / f"{len(list(self._layers.iterdir()))}-{name}"
        layers.mkdir()
        machine = Machine(name, layers, tuple(private))
        self._machines.append(machine)
        machine.add_name("127.0.1.1", name)
        return machine

    def _wire(self, machine: Machine, addresses: Iterable[str]) -> None:
        here = _interface(machine)
        # Made with the outside's process ids, in the gateway's network.
        subprocess.run(
            ["nsenter", "--target", str(self.gateway.pid), "--net", "--", "ip", "link", "add", here,
             "type", "veth", "peer", "name", "eth0", "netns", str(machine.pid)],
            check=True, timeout=60,
        )  # fmt: skip
        near = [
            f"link set {here} up",
            f"addr add {self.GATEWAY}/32 dev {here}",
            f"addr add {self.GATEWAY6}/128 dev {here} nodad",
        ]
        far = ["link set eth0 up"]
        families = set()
        for address in map(ipaddress.ip_address, addresses):
            families.add(address.version)
            far.append(f"addr add {address}/{address.max_prefixlen} dev eth0{_no_dad(address.version)}")
            near.append(f"route add {address}/{address.max_prefixlen} dev {here}")
        gateways = {4: self.GATEWAY, 6: self.GATEWAY6}
        for version in sorted(families):
            prefix_length = {4: 32, 6: 128}[version]
            far.append(f"-{version} route add {gateways[version]}/{prefix_length} dev eth0")
            far.append(f"-{version} route add default via {gateways[version]} dev eth0")
        _ip(machine, far)
        _ip(self.gateway, near)


def _ip(machine: Machine, commands: Sequence[str]) -> None:
    for command in commands:
        machine.run(["ip", *command.split()], check=True)


def _no_dad(version: int) -> str:
    # Duplicate address detection would hold an IPv6 address back for a second.
    return " nodad" if version == 6 else ""


def _interface(machine: Machine) -> str:
    """The gateway's end of the wire to a machine: unique, and within Linux's 15 characters."""
    return f"to-{machine.pid}"
