"""A person with a key of his own: one who may only describe, and one who may create what he should not."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from tests.attack.honest import SPAWNING, Gone, Refused, Tunnel, asked, meanwhile, stand_back
from tests.attack.site import OPEN, REGION, SUBNET, Key, Site, allow, deny
from tests.attack.strangers import _host_token
from tests.attack.trial import Family, Outcome, Trial, milliseconds, percentile

from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signing import sign_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECONDS: Final = 4.0
CALLERS: Final = 6
MOST_TIMES: Final = 5.0
MOST_SECONDS: Final = 0.5
"""What key look-ups of hosts may take meanwhile, if that is more than so many times as long as in calm."""


def _call(site: Site, service: str, user: str, action: str, **parameters: Any) -> str:
    """The error code of a call, empty when it succeeds."""
    try:
        getattr(site.api(service, user, read_timeout=30), action)(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def _abuse(url: tuple[str, str], key: Key, service: str, action: str, parameters: Mapping[str, Any]) -> None:
    """The same call again and again, by several threads."""
    from botocore.config import Config
    from botocore.session import Session

    stand_back()
    end = time.monotonic() + SECONDS + 2

    def one(_: int) -> None:
        client = Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=url[0],
            verify=url[1],
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False),
        )
        while time.monotonic() < end:
            try:
                getattr(client, action)(**parameters)
            except (ClientError, BotoCoreError):
                time.sleep(0.001)

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(one, range(CALLERS)))


def _look_ups_during(
    site: Site, user: str, service: str, action: str, parameters: Mapping[str, Any]
) -> Outcome:
    token = f"authorization: Bearer {_host_token(site)}"
    path = f"/host/v1/authorized-keys?user=ec2-user&fingerprint=SHA256:{'A' * 43}"

    def look_up() -> float:
        seconds, status = asked(site, path, header=token)
        return seconds if status == 200 else 60.0

    calm = percentile(meanwhile(SECONDS / 2, look_up), 0.95)
    url = (site.api_url, str(site.data / "ca.pem"))
    process = SPAWNING.Process(
        target=_abuse, args=(url, site.keys[user], service, action, parameters), daemon=True
    )
    process.start()
    try:
        time.sleep(2)
        hostile = percentile(meanwhile(SECONDS, look_up), 0.95)
    finally:
        process.kill()
        process.join()
    code = _call(site, service, user, action, **parameters) if "Filters" in parameters else ""
    return Outcome(
        hostile <= max(MOST_TIMES * calm, MOST_SECONDS),
        f"key look-ups p95 {milliseconds(hostile)}, calm {milliseconds(calm)}"
        + (f"; the call: {code}" if code else ""),
    )


def long_filters(site: Site) -> Outcome:
    """200 patterns of stars, each as long as the API lets it be."""
    site.user("describer", allow("ec2:Describe*"))
    pattern = "*a" * 120
    filters = [{"Name": "tag:Team", "Values": [f"{pattern}{number}*" for number in range(100)]}]
    return _look_ups_during(site, "describer", "ec2", "describe_instances", {"Filters": filters})


def one_enormous_filter(site: Site) -> Outcome:
    site.user("describer-2", allow("ec2:Describe*"))
    filters = [{"Name": "tag:Team", "Values": ["*a" * 200_000]}]
    return _look_ups_during(site, "describer-2", "ec2", "describe_instances", {"Filters": filters})


def long_simulations(site: Site) -> Outcome:
    site.user("simulator", allow("iam:SimulateCustomPolicy"))
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                allow([f"ec2:{'*a' * 200}{number}" for number in range(20)], f"arn:aws:ec2:*:*:{'*a' * 400}")
            ],
        }
    )
    parameters = {
        "PolicyInputList": [document],
        "ActionNames": [f"ec2:{'a' * 100}{number}" for number in range(20)],
        "ResourceArns": [f"arn:aws:ec2:{REGION}:123456789012:{'a' * 1500}"],
    }
    return _look_ups_during(site, "simulator", "iam", "simulate_custom_policy", parameters)


def refused_calls(site: Site) -> Outcome:
    """Calls that are refused, with as many parameters as go into one."""
    site.user("nobody")
    tags = [{"Key": f"k{number}", "Value": "v" * 250} for number in range(300)]
    end = time.monotonic() + 3 * SECONDS

    def keep_asking(_: int) -> int:
        calls = 0
        while time.monotonic() < end:
            code = _call(
                site,
                "ec2",
                "nobody",
                "create_instance_connect_endpoint",
                SubnetId=SUBNET,
                TagSpecifications=[{"ResourceType": "instance-connect-endpoint", "Tags": tags}],
            )
            calls += bool(code)
        return calls

    site.api("ec2", "nobody", read_timeout=30)  # made once, and shared by the threads
    with ThreadPoolExecutor(4) as pool:
        calls = sum(pool.map(keep_asking, range(4)))
    own, counted, size = _records_of(site, "nobody", calls)
    return Outcome(
        own + counted == calls and size <= 32 * 1024 and own <= 100 + 2 * 4 * SECONDS,
        f"{calls} calls of 90 kB: {own} recorded individually, {counted} counted;"
        f" the largest event has {size / 1024:.0f} KiB",
    )


def _records_of(site: Site, user: str, calls: int) -> tuple[int, int, int]:
    """A user's events in the audit trail: how many, how many more they count, and the largest one's bytes."""
    until = time.monotonic() + 25
    while True:
        lines = [line for line in (site.data / "audit.jsonl").read_text().split("\n") if f'"{user}"' in line]
        events = [json.loads(line) for line in lines]
        events = [event for event in events if event["userIdentity"].get("userName") == user]
        counts = [event for event in events if event["eventName"] == "RefusedCalls"]
        counted = sum(event["additionalEventData"]["refusals"]["count"] for event in counts)
        own = len(events) - len(counts)
        if own + counted >= calls or time.monotonic() > until:
            return own, counted, max((len(line) for line in lines), default=0)
        time.sleep(0.5)


def strange_texts(site: Site) -> Outcome:
    """Surrogates, NULs, and line ends that are none of ASCII's, wherever text goes."""
    site.user("odd", allow("*"))
    names = ["\\ud800", "a\\u0000b", "\\u2028", "\\u0085", "\\udfff\\ud800"]
    bodies = [f'{{"{name}": 1}}' for name in names] + [f'{{"InstanceId": "{name}"}}' for name in names]
    targets = ["AWSEC2InstanceConnectService.SendSSHPublicKey", "com.hatchway.Hatchway.ListTunnels"]
    statuses, missing = [], 0
    for body in bodies:
        status, request_id = _signed(site, "odd", "ec2-instance-connect", targets[0], body.encode())
        statuses.append(status)
        missing += not _recorded(site, request_id)
    wrong = [status for status in statuses if not 400 <= status < 500]
    lines = (site.data / "audit.jsonl").read_bytes().decode().splitlines()
    broken = sum(1 for line in lines if not _is_json(line))
    return Outcome(
        not wrong and not missing and not broken,
        f"{len(statuses)} calls: {len(wrong)} not refused as the caller's error, {missing} without a record,"
        f" {broken} broken lines in audit.jsonl",
    )


def _signed(site: Site, user: str, service: str, target: str, body: bytes) -> tuple[int, str]:
    import http.client
    import ssl
    from datetime import UTC, datetime

    host = f"{site.api_address[0]}:{site.api_address[1]}"
    headers = (("Host", host), ("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target))
    request = HttpRequest("POST", "/", "", headers, body)
    key = site.keys[user]
    added = sign_headers(
        request,
        access_key_id=key.id,
        secret_access_key=key.secret,
        region=REGION,
        service=service,
        now=datetime.now(UTC),
    )
    context = ssl.create_default_context(cafile=str(site.data / "ca.pem"))
    connection = http.client.HTTPSConnection(*site.api_address, timeout=20, context=context)
    try:
        connection.request("POST", "/", body, dict([*headers, *added]))
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["x-amzn-requestid"] or ""
    finally:
        connection.close()


def _recorded(site: Site, request_id: str) -> bool:
    """Whether the audit trail's file comes to have an event of this request."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if request_id.encode() in (site.data / "audit.jsonl").read_bytes():
            return True
        time.sleep(0.1)
    return False


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def failure_message_oracle(site: Site) -> Outcome:
    """Guesses of a User-Agent that a policy asks for, by the length of the encoded message."""
    wanted = "the-only-agent-that-may"
    site.user("guesser", allow("ec2:*", Condition={"StringEquals": {"aws:UserAgent": wanted}}))
    lengths = set()
    for size in range(len(wanted)):
        guess = wanted[:size] + "#" * (len(wanted) - size)
        client = site.api("ec2", "guesser", user_agent=guess)
        try:
            client.describe_vpcs()
        except ClientError as error:
            message = error.response["Error"]["Message"]
            lengths.add(len(message.rpartition("message: ")[2]))
    return Outcome(
        len(lengths) == 1, f"{len(wanted)} guesses, from none to all but one right: lengths {sorted(lengths)}"
    )


def tags_that_evade(site: Site) -> Outcome:
    """A Deny on the subnet's tag, and an Allow for another; the creator asks for the tag that he needs."""
    create = [
        "ec2:CreateInstanceConnectEndpoint",
        "ec2:CreateNetworkInterface",
        "ec2:CreateTags",
        "iam:CreateServiceLinkedRole",
    ]
    tag = {"aws:ResourceTag/env": "prod"}
    site.user("evader", allow(create), deny(create[0], Condition={"StringEquals": tag}))
    site.user(
        "evader-2",
        allow(create[1:]),
        allow(create[0], Condition={"StringEquals": {"aws:ResourceTag/env": "dev"}}),
    )
    specification = [{"ResourceType": "instance-connect-endpoint", "Tags": [{"Key": "env", "Value": "dev"}]}]
    codes = [
        _call(site, "ec2", user, "create_instance_connect_endpoint", SubnetId=SUBNET, **more)
        for user in ("evader", "evader-2")
        for more in ({}, {"TagSpecifications": specification})
    ]
    return Outcome(
        set(codes) == {"UnauthorizedOperation"}, f"4 creations: {', '.join(code or 'made' for code in codes)}"
    )


def own_addresses(site: Site) -> Outcome:
    """Tunnels to the API, from which a caller would come as a local one."""
    site.user("looper", OPEN)
    answers = []
    for address in (site.api_address[0], "127.0.0.2"):
        try:
            tunnel = Tunnel(site, site.target("looper", site.api_address[1], address))
        except Refused as refused:
            answers.append(str(refused)[:40])
            continue
        try:
            tunnel.echo(b"GET /healthz HTTP/1.1\r\n\r\n")
            answers.append("reached")
        except Gone as gone:
            answers.append(f"{gone.code} {gone.reason}")
        finally:
            tunnel.close()
    return Outcome(
        "reached" not in answers and all("1011" in one or "40" in one for one in answers), "; ".join(answers)
    )


def _trial(run: Callable[[Site], Outcome], tried: str, must: str) -> Trial:
    return Trial(run.__name__, tried, must, run)


_LOOK_UPS: Final = f"hosts' key look-ups p95 at most {MOST_TIMES:.0f} times calm, or {MOST_SECONDS} s"

FAMILY: Final = Family(
    "insiders",
    "A person with a key",
    [
        _trial(long_filters, f"{CALLERS} callers filter by 100 patterns with 120 stars each", _LOOK_UPS),
        _trial(
            one_enormous_filter, f"{CALLERS} callers filter by one pattern of 400,000 characters", _LOOK_UPS
        ),
        _trial(
            long_simulations, f"{CALLERS} callers simulate 20 actions with patterns of 200 stars", _LOOK_UPS
        ),
        _trial(
            refused_calls,
            "refused calls with 300 tags each, one after the other",
            "few are recorded individually, in at most 32 KiB each; all others are counted",
        ),
        _trial(
            strange_texts,
            "JSON with lone surrogates, NUL, U+2028, U+0085 in names and values",
            "refused as the caller's error, each recorded, one line per event",
        ),
        _trial(
            failure_message_oracle,
            "guesses a User-Agent that a policy requires, from the length of the encoded failure message",
            "the same length for all guesses",
        ),
        _trial(
            tags_that_evade,
            "creates an endpoint with tags chosen to evade a Deny on the subnet's tags",
            "refused",
        ),
        _trial(
            own_addresses,
            "tunnels to the API's own address, and to another address of its machine",
            "refused, or `Unable to connect to target`",
        ),
    ],
)
