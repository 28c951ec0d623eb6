"""Which endpoint is asked for a tunnel next, where one refuses or this machine's clock is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hatchway.client.api import clock
from hatchway.client.discovery.cache import Refusals
from hatchway.client.errors import (
    REQUEST_ID_HEADER,
    EveryEndpointRefused,
    GatewayUnreachable,
    NotOpened,
    TunnelRefused,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from hatchway.client.api.shared_files import Credentials
    from hatchway.client.discovery.plan import Route, TunnelPlan

    Attempts = Generator[tuple[Route, str], NotOpened, None]


def attempts(plan: TunnelPlan, credentials: Credentials) -> Attempts:
    """Where to ask, and with which path and query. Whoever is refused there sends the refusal, and gets what
    to try next.

    Raises:
        TunnelRefused, GatewayUnreachable: there is nothing else to try.
        EveryEndpointRefused: one of these is what became of each of several endpoints.
    """
    refusals = Refusals(plan.region, credentials.access_key_id)
    refused: list[tuple[str, NotOpened]] = []
    out_of_reach: set[Route] = set()
    for one in (plan, *plan.others):
        # Whoever is not there for one endpoint is not there for another.
        if one.route in out_of_reach:
            continue
        problem = yield _request(one, credentials)
        if isinstance(problem, TunnelRefused) and clock.learn(problem.message):
            problem = yield _request(one, credentials)
        refused.append((one.request.endpoint_id, problem))
        if not problem.by_another:
            break
        # A gateway that stops, or cannot decide, has the same to say of each endpoint.
        if isinstance(problem, GatewayUnreachable) or problem.passing:
            out_of_reach.add(one.route)
        if plan.others:
            refusals.add(one.request.endpoint_id)
    if len(refused) == 1:
        raise refused[0][1]
    raise EveryEndpointRefused(refused)


def _request(plan: TunnelPlan, credentials: Credentials) -> tuple[Route, str]:
    return plan.route, plan.request.presigned(credentials, region=plan.region, now=clock.now())


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> TunnelRefused:
    """What a gateway says that opens no tunnel."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        read = None
    fields = read if isinstance(read, dict) else {}
    request_id = headers.get(REQUEST_ID_HEADER)
    return TunnelRefused(
        status,
        printable(str(fields.get("ErrorCode", ""))),
        printable(str(fields.get("Message", ""))),
        None if request_id is None else printable(request_id),
        printable(str(fields.get("Explanation", ""))),
    )
