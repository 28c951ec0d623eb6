"""Decisions per second of `hatchway.iam`, beside cedarpy and iam-simulate, as ratios measured in one run.

    python bench/iam.py [--node-modules DIR] [--json FILE]

Each round times every contender once, so that what else the machine does falls on all of them; the best round
counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cedarpy

from hatchway.iam import Outcome, PolicySet, Request, decide, evaluate, parse_policy

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
CONNECT = HERE.parent / "examples" / "policies" / "connect.json"
ENDPOINT = "arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-0123456789abcdef0"
TUNNEL, DESCRIBE = "ec2-instance-connect:OpenTunnel", "ec2:DescribeInstances"
SMALL, LARGE = "10 statements", "10,000 statements, 1,000 actions"
ROUNDS = 7

TUNNEL_CONTEXT: dict[str, str | tuple[str, ...]] = {
    "ec2-instance-connect:remotePort": "22",
    "ec2-instance-connect:privateIpAddress": "10.0.1.1",
    "ec2-instance-connect:maxTunnelDuration": "3600",
}

CEDAR_POLICY = """
permit (principal, action == Action::"OpenTunnel", resource == Endpoint::"eice-0123456789abcdef0")
when {
  context.remotePort == 22 &&
  ip(context.privateIpAddress).isInRange(ip("10.0.1.0/31")) &&
  context.maxTunnelDuration <= 3600
};
permit (principal, action == Action::"SendSSHPublicKey", resource)
when { context.osuser == "ami-username" };
permit (
  principal,
  action in [Action::"DescribeInstances", Action::"DescribeInstanceConnectEndpoints"],
  resource
);
"""


def per_second(work: Callable[[], object], seconds: float = 0.25) -> float:
    """Calls a second of `work`, over at least `seconds`."""
    calls, took = 64, 0.0
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        took = time.perf_counter() - start
        if took >= seconds:
            return calls / took
        calls = max(calls * 2, int(calls * seconds / max(took, 1e-9)))


def best_of(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The best rate of each over interleaved rounds."""
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            best[name] = max(best[name], per_second(work))
    return best


def checked(work: Callable[[], object], expected: object) -> Callable[[], object]:
    """`work`, once it has been seen to answer as expected."""
    if work() != expected:
        raise SystemExit(f"a contender answers {work()!r}, not {expected!r}")
    return work


def cedar(action: str, resource: str, context: dict[str, Any]) -> Callable[[], object]:
    """Pre-parsed policy set and entities; the request as cedarpy takes it quickest, its context JSON."""
    policies = cedarpy.PolicySet.from_str(CEDAR_POLICY)
    entities = cedarpy.Entities.from_json_str("[]")
    request = {
        "principal": 'User::"alice"',
        "action": f'Action::"{action}"',
        "resource": resource,
        "context": json.dumps(context),
    }
    return lambda: cedarpy.is_authorized(request, policies, entities).allowed


def against_cedar() -> dict[str, float]:
    """Policy 2, OpenTunnel: our Request made anew each time, as cedarpy reads its request each time."""
    policies = PolicySet(identity=(parse_policy(CONNECT.read_text()),))
    request = Request(TUNNEL, ENDPOINT, TUNNEL_CONTEXT)
    given = {"remotePort": 22, "privateIpAddress": "10.0.1.1", "maxTunnelDuration": 3600}
    return best_of(
        {
            "hatchway": checked(
                lambda: decide(Request(TUNNEL, ENDPOINT, TUNNEL_CONTEXT), policies), Outcome.ALLOWED
            ),
            "hatchway, request made once": checked(lambda: decide(request, policies), Outcome.ALLOWED),
            "hatchway, with reasons": checked(lambda: evaluate(request, policies).outcome, Outcome.ALLOWED),
            "cedarpy": checked(cedar("OpenTunnel", 'Endpoint::"eice-0123456789abcdef0"', given), True),
        }
    )


def against_iam_simulate(node_modules: Path) -> dict[str, float]:
    """DescribeInstances under the same policy: iam-simulate knows neither OpenTunnel nor ec2:osuser."""
    policies = PolicySet(identity=(parse_policy(CONNECT.read_text()),))
    given = {
        "policy": json.loads(CONNECT.read_text()),
        "action": DESCRIBE,
        "resource": "*",
        "context": {},
        "rounds": ROUNDS,
    }
    ours = best_of({"hatchway": checked(lambda: decide(Request(DESCRIBE), policies), Outcome.ALLOWED)})
    script = HERE / "iam_simulate" / "bench.mjs"
    answer = subprocess.run(
        ["node", str(script), str(node_modules.resolve())],
        input=json.dumps(given),
        check=True,
        capture_output=True,
        text=True,
    )
    return ours | {"iam-simulate": float(answer.stdout)}


def many_statements(statements: int, actions: int) -> Callable[[], object]:
    """Decisions on a thousand requests in turn, each allowed by one of `statements` on `actions`."""
    listed = [
        {
            "Effect": "Allow",
            "Action": f"svc:Act{number % actions}",
            "Resource": f"arn:aws:svc:us-east-1:123456789012:thing/{number:05}/*",
            "Condition": {"StringEquals": {"x:Key": f"{number:05}"}},
        }
        for number in range(statements)
    ]
    policies = PolicySet(identity=tuple(parse_policy({"Statement": s}) for s in listed))
    asked = [number * 7919 % statements for number in range(1_000)]
    requests = [
        Request(
            f"svc:Act{number % actions}",
            f"arn:aws:svc:us-east-1:123456789012:thing/{number:05}/part",
            {"x:Key": f"{number:05}"},
        )
        for number in asked
    ]
    turns = cycle(requests)
    work = lambda: decide(next(turns), policies)  # noqa: E731
    for _ in requests:
        checked(work, Outcome.ALLOWED)
    return work


def scaling() -> dict[str, float]:
    """Ten statements for each action, whether they are all there are or one in a thousand."""
    return best_of({SMALL: many_statements(10, 1), LARGE: many_statements(10_000, 1_000)})


def show(title: str, rates: dict[str, float], reference: str) -> None:
    """One table: rate, and how many times the reference's."""
    print(f"\n{title}")
    for name, rate in rates.items():
        print(f"  {name:<36}{rate:>12,.0f} /s{1e6 / rate:>10.2f} µs{rate / rates[reference]:>9.2f}x")


def main() -> None:
    """Run everything, print tables, fail when a ratio that is promised does not hold."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--node-modules", type=Path, help="where @cloud-copilot/iam-simulate is installed")
    arguments.add_argument("--json", type=Path, help="also write the rates here")
    given = arguments.parse_args()

    cedar_rates = against_cedar()
    show("OpenTunnel under the connect policy", cedar_rates, "cedarpy")
    scale_rates = scaling()
    show("Ten statements for the action asked", scale_rates, SMALL)
    promises = {
        "5 times cedarpy": cedar_rates["hatchway"] >= 5 * cedar_rates["cedarpy"],
        "10,000 statements in twice the time of 10": scale_rates[LARGE] >= 0.5 * scale_rates[SMALL],
    }
    rates = {"cedarpy": cedar_rates, "scaling": scale_rates}
    if given.node_modules:
        rates["iam-simulate"] = against_iam_simulate(given.node_modules)
        show("DescribeInstances under the connect policy", rates["iam-simulate"], "iam-simulate")
        promises["25 times iam-simulate"] = (
            rates["iam-simulate"]["hatchway"] >= 25 * rates["iam-simulate"]["iam-simulate"]
        )
    if given.json:
        given.json.write_text(json.dumps(rates, indent=2) + "\n")
    print()
    for promise, kept in promises.items():
        print(f"  {'kept' if kept else 'NOT KEPT'}: {promise}")
    if not all(promises.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
