"""What `ssh` and `open-tunnel` do, once their lines are read. What each needs is imported when it runs."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatchway.cli.printable import printable
from hatchway.client.errors import ClientError, InvalidOption, NoConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hatchway.client.api.profile import Profile, ProfileOptions
    from hatchway.client.connection.retry import RetryBudget
    from hatchway.client.discovery.cache import AnswerCache
    from hatchway.client.discovery.discovery import TunnelOptions
    from hatchway.client.discovery.plan import Route, TunnelPlan
    from hatchway.client.errors import NotOpened
    from hatchway.client.tunnel.opening import Preconnection


@contextmanager
def as_ssh_ends() -> Iterator[None]:
    """Whatever keeps a command from a connection ends it with 255, by which rsync, Ansible and others know
    that from a remote command that failed. First of all a system on which there are no tunnels.

    Raises:
        NoConnection: in the place of an error with the exit code of any failure.
    """
    from hatchway.client.tunnel.local import check_system

    try:
        check_system()
        yield
    except ClientError as problem:
        if problem.exit_code != ClientError.exit_code:
            raise
        raise NoConnection(str(problem)) from problem
    except OSError as problem:
        from hatchway.failures import failure_of

        known = failure_of(problem)
        if known is None:
            raise
        raise NoConnection(str(known)) from problem


@as_ssh_ends()
def ssh(
    words: Sequence[str],
    *,
    os_user: str | None,
    remote_port: int | None,
    dry_run: bool,
    tunnel: TunnelOptions,
    caller: ProfileOptions,
) -> int:
    """The exit status of ssh, 0 of a dry run.

    Raises:
        ClientError: whatever kept it from its work.
    """
    from hatchway.cli.ending import ended
    from hatchway.client.api.profile import Profile
    from hatchway.client.ssh.ssh import dry_run_ssh, run_ssh, ssh_options
    from hatchway.client.ssh.ssh_settings import configured

    options = ssh_options(words, os_user, remote_port, tunnel, configured)
    profile = Profile(caller, retry_budget())
    if not dry_run:
        return run_ssh(profile, options, ended)
    planned = dry_run_ssh(profile, options)
    for step in planned.steps:
        print(printable(step))
    print(printable(f"would run: {planned.command}"))
    return 0


@as_ssh_ends()
def open_tunnel(
    host: str | None,
    *,
    instance_id: str | None,
    private_ip_address: str | None,
    remote_port: int,
    local_port: int | None,
    bind_address: str | None = None,
    push_key: Path | None,
    os_user: str,
    known_hosts: Path | None,
    other_endpoints: str | None = None,
    tunnel: TunnelOptions,
    caller: ProfileOptions,
) -> int:
    """0 when the tunnel has ended.

    Raises:
        ClientError: whatever kept it from its work.
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.cache import AnswerCache
    from hatchway.client.discovery.discovery import check_options, plan_tunnel

    options = tunnel._replace(
        # A tunnel has no user: whoever pastes user@host means the host.
        host=None if host is None else host.rpartition("@")[2],
        instance_id=instance_id,
        private_ip_address=private_ip_address,
        remote_port=remote_port,
    )
    if other_endpoints is not None:
        from hatchway.client.ssh.proxy_command import read_places

        options = options._replace(others=read_places(other_endpoints))
    if bind_address is not None and local_port is None:
        raise InvalidOption("--bind-address says where to listen: give --local-port as well")
    check_options(options)
    profile = Profile(caller, retry_budget())
    introduce = push_key is not None or known_hosts is not None

    def prepare(plan: TunnelPlan) -> None:
        if introduce:
            from hatchway.client.ssh.ssh import prepare_host

            prepare_host(profile, plan.instance_id, os_user, push_key, known_hosts)

    if local_port is not None:
        plan = plan_tunnel(profile, options, meanwhile=_load_what_carries_many)
        prepare(plan)
        from hatchway.client.tunnel.event_loop import run
        from hatchway.client.tunnel.listener import LOOPBACK, listen

        run(listen(plan, local_port, reporting(), bind_address or LOOPBACK))
        return 0
    cache = AnswerCache(profile, options) if options.private_ip_address is None else None
    preconnection: Preconnection | None = None

    def expected(plan: TunnelPlan) -> None:
        from hatchway.client.tunnel.opening import Preconnection

        nonlocal preconnection
        preconnection = Preconnection(plan.route, profile.trusted)

    # Gateways move seldom: where one was is connected to while it is asked where it is.
    plan = plan_tunnel(profile, options, meanwhile=_load_what_carries_one, cache=cache, expected=expected)
    if introduce and preconnection is None:
        expected(plan)
    prepare(plan)
    _carry(plan, profile, options, cache, preconnection)
    return 0


def _carry(
    plan: TunnelPlan,
    profile: Profile,
    options: TunnelOptions,
    cache: AnswerCache | None,
    preconnection: Preconnection | None,
) -> None:
    """On standard streams. What is not any more where it was does not come back, and an API that has just
    started may not know yet where its gateway is: so all that was not given is asked anew."""
    from hatchway.cli.ending import tell
    from hatchway.client.discovery.discovery import plan_tunnel
    from hatchway.client.errors import NotOpened, TunnelClosed
    from hatchway.client.tunnel.stream_relay import relay_standard_streams

    retry_budget = profile.retry_budget
    remembered = cache is not None and cache.recalled
    asks = options.gateway_port is None
    while True:
        try:
            waits = None if asks else retry_budget
            relay_standard_streams(plan, profile.trusted, preconnection, retry_budget=waits, tell=tell)
        except NotOpened as problem:
            # Nothing has been taken from standard input yet.
            if cache is not None:
                cache.forget()
            if not remembered and not (
                asks
                and problem.restarting
                and retry_budget is not None
                and retry_budget.is_left(str(problem))
            ):
                raise
            again = plan_tunnel(profile, options)
            if _is_silent(problem) and _routes(again) == _routes(plan):
                raise
            plan, preconnection, remembered = again, None, False
        except TunnelClosed:
            if cache is not None:
                cache.forget()
            raise
        else:
            return


def _is_silent(problem: NotOpened) -> bool:
    """Whether no gateway said anything, nor will in a moment: that has been waited for long enough."""
    from hatchway.client.errors import EveryEndpointRefused, GatewayUnreachable

    refusals = problem.refusals if isinstance(problem, EveryEndpointRefused) else [problem]
    return all(isinstance(each, GatewayUnreachable) and not each.restarting for each in refusals)


def _routes(plan: TunnelPlan) -> list[Route]:
    return [plan.route, *(other.route for other in plan.others)]


def _load_what_carries_one() -> None:
    """And what reads the API's answers, while these are waited for."""
    import xml.parsers.expat  # noqa: F401

    import hatchway.client.tunnel.stream_relay  # noqa: F401


def _load_what_carries_many() -> None:
    """It takes as long as the API takes to answer."""
    import hatchway.client.tunnel.listener  # noqa: F401
    from hatchway.client.tunnel.event_loop import loop_factory

    loop_factory()


def retry_budget() -> RetryBudget:
    """With servers that are just restarting; it is told on standard error."""
    from hatchway.cli.ending import tell
    from hatchway.client.connection.retry import RetryBudget

    return RetryBudget(tell)


def reporting() -> Callable[[str], None]:
    """What prints a listener's lines. Once the first is out, neither that nobody reads any more, as in
    `… | head -1`, nor a full disk ends a tunnel: all others go nowhere then."""
    begun = False

    def report(line: str) -> None:
        nonlocal begun
        try:
            # At once, also into a pipe: whoever waits for the port reads this.
            print(printable(line), flush=True)
        except OSError:
            if not begun:
                raise
            from hatchway.cli.ending import abandon

            abandon(sys.stdout)
        begun = True

    return report
