"""Running a server: readies the installation, takes the ports, and starts the planes."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from hatchway.errors import CommandFailed
from hatchway.failures import failures
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import is_there, server_names
from hatchway.installation.joined import Joined
from hatchway.installation.secret_files import repair_modes, restrict_to_root
from hatchway.keys.key_files import MASTER_KEY
from hatchway.pki.alternative_names import without_wildcard
from hatchway.server.api_note import ApiNote
from hatchway.server.certificates import check_certificate, check_names, renew_own_certificate, renew_when_due
from hatchway.server.gateway_names import names_of_gateways
from hatchway.server.options import DEFAULT_GATEWAY, ServerOptions
from hatchway.server.ports import default_gateway, held
from hatchway.server.programs import API, GATEWAY, control_programs, gateway_program
from hatchway.server.renewal import ask_first, looked_after
from hatchway.settings import (
    STORE_URL_VARIABLE,
    Address,
    DataDirectory,
)
from hatchway.supervision.handover import Handover
from hatchway.supervision.service_manager import ServiceManager
from hatchway.supervision.supervised import Supervised
from hatchway.supervision.supervisor import Program, supervise

log = structlog.get_logger("hatchway.server")


def serve_both(options: ServerOptions) -> None:
    """Runs both planes until told to stop.

    Raises:
        CommandFailed: it cannot start.
    """
    settings = options.settings()
    _guard_secrets(options)
    ask_first(options)
    handover = Handover(ServiceManager.of_environment())
    with (
        held(settings.api, "--api", partial(handover.address, API)) as api,
        held(
            _gateway_address(options, handover, api), "--gateway", partial(handover.address, GATEWAY)
        ) as gateway,
    ):
        dns_names = names_of_gateways(options, migrate=True)
        names = server_names(
            options.directory, dns_names, api=api.host, gateway=gateway.host, further=options.api_names
        )
        renew_own_certificate(options, names)
        check_certificate(settings.api_certificate, settings.api_key)
        check_certificate(settings.gateway_certificate, settings.gateway_tls_key)
        check_names(options.gateway_certificate, dns_names)
        workers = [gateway_program(options, gateway, n) for n in range(1, options.gateway_workers + 1)]

        def refresh() -> None:
            renew_when_due(options, api, gateway.host)

        with looked_after(options):
            _supervise(
                [*control_programs(options, api), *workers],
                options,
                handover,
                refresh=refresh,
            )


def supervise_control_plane(options: ServerOptions, manager: ServiceManager | None) -> None:
    """Runs a control plane in processes of its own, until told to stop or to leave it to the next server.

    Raises:
        CommandFailed: it cannot start.
    """
    handover = Handover(manager)
    ask_first(options)
    with (
        held(options.settings().api, "--api", partial(handover.address, API)) as api,
        looked_after(options),
    ):

        def refresh() -> None:
            renew_when_due(options, api)

        _supervise(control_programs(options, api), options, handover, refresh=refresh)


def supervise_gateway_plane(options: ServerOptions, manager: ServiceManager) -> None:
    """The same with a gateway.

    Raises:
        CommandFailed: it cannot start.
    """
    handover = Handover(manager)
    wanted = _gateway_address(options, handover, None)
    ask_first(options)
    with (
        held(wanted, "--gateway", partial(handover.address, GATEWAY)) as gateway,
        looked_after(options),
    ):
        _supervise([gateway_program(options, gateway)], options, handover)


def run_control_plane(options: ServerOptions, supervised: Supervised | None = None) -> None:
    """Runs a control plane in this process until told to stop.

    Raises:
        CommandFailed: it cannot start.
    """
    if supervised is not None:
        _run_control_plane(options, supervised)
        return
    # Processes of one user may share a port: of two servers there each had a part of the calls.
    wanted = options.settings().api
    with held(wanted, "--api") as api:
        _run_control_plane(replace(options, api=replace(wanted, port=api.port)), None)


def _run_control_plane(options: ServerOptions, supervised: Supervised | None) -> None:
    from hatchway.control.process import run_control

    settings = replace(options.settings(), machine_id=_machine_id(options.directory))
    if options.store_url is not None and MASTER_KEY.variable in os.environ:
        # Nothing in it has to last: the store and the keys are elsewhere.
        _make_directory(options.directory)
    _guard_secrets(options)
    if supervised is None:
        ask_first(options)
    dns_names = names_of_gateways(options, migrate=True)
    names = server_names(options.directory, dns_names, api=settings.api.host, further=options.api_names)
    renew_own_certificate(options, names)
    check_certificate(settings.api_certificate, settings.api_key)
    # Once it is another user, who lasts: threads of before would keep what it gives up.
    renewal = ExitStack()

    def on_ready(address: Address) -> None:
        if supervised is None:
            renewal.enter_context(looked_after(options, settings.api))
        private_ca = options.api_certificate is None
        certificate = settings.api_certificate.absolute()
        location = ApiLocation.of(
            address, without_wildcard(dns_names[0]), private_ca=private_ca, certificate=certificate
        )
        note = ApiNote(location, options.directory)
        note.put()
        renewal.callback(note.close)
        announce_ready({"api": f"https://{address}"})

    with renewal, failures(settings.store_url):
        run_control(settings, on_ready, supervised)


def run_gateway_plane(options: ServerOptions, supervised: Supervised | None = None) -> None:
    """Runs one gateway process until told to stop.

    Raises:
        CommandFailed: it cannot start.
    """
    wanted = options.gateway or default_gateway()
    if supervised is not None:
        _run_gateway_plane(replace(options, gateway=wanted), supervised)
        return
    with held(wanted, "--gateway") as gateway:
        _run_gateway_plane(replace(options, gateway=replace(wanted, port=gateway.port)), None)


def _run_gateway_plane(options: ServerOptions, supervised: Supervised | None) -> None:
    from hatchway.gateway import run_gateway

    settings = options.settings()
    settings = replace(settings, machine_id=_machine_id(options.directory))
    _guard_secrets(options)
    if os.environ.pop(MASTER_KEY.variable, None) is not None:
        log.warning("gateways have no use for the master key", take_away=MASTER_KEY.variable)
    if supervised is None:
        ask_first(options)
    if options.gateway_certificate is None:
        _require_own_certificate(settings.gateway_certificate)
    check_certificate(settings.gateway_certificate, settings.gateway_tls_key)
    renewal = ExitStack()

    def on_ready(address: Address) -> None:
        if supervised is None:
            renewal.enter_context(looked_after(options))
        announce_ready({"gateway": f"wss://{address}"})

    with renewal, failures(settings.store_url):
        run_gateway(settings, on_ready, supervised)


def _require_own_certificate(certificate: Path) -> None:
    """
    Raises:
        CommandFailed: a gateway has none yet, which others are to make or give.
    """
    with suppress(PermissionError):
        if not is_there(certificate):
            raise CommandFailed(
                f"there is no certificate {certificate}: on a machine of its own, have it join (hatchway"
                " join); beside a control plane, start that first; or give --gateway-tls-cert and"
                " --gateway-tls-key"
            )


def announce_ready(urls: Mapping[str, str]) -> None:
    """The one line that a server prints on standard output: `ready api=https://… gateway=wss://…`."""
    print("ready", *(f"{name}={url}" for name, url in sorted(urls.items())), flush=True)


def _make_directory(directory: DataDirectory) -> None:
    """
    Raises:
        CommandFailed: it cannot be made.
    """
    try:
        directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise CommandFailed(f"cannot make {directory.path}: {problem.strerror}") from problem


def _guard_secrets(options: ServerOptions) -> None:
    """Keeps the data directory's files from others, and the keys that gateways must not have from them.

    Raises:
        CommandFailed: it cannot be done.
    """
    done = repair_modes(options.directory)
    if options.user is not None:
        done += restrict_to_root(options.user, options.directory)
    for what in done:
        log.warning("data directory mended", what=what)


def _machine_id(directory: DataDirectory) -> str | None:
    with failures():
        joined = Joined.read(directory)
    return None if joined is None else joined.machine_id


def _gateway_address(options: ServerOptions, handover: Handover, api: Address | None) -> Address:
    if options.gateway is not None:
        return options.gateway
    return handover.address(GATEWAY, DEFAULT_GATEWAY.host, 0) or default_gateway(api)


def _supervise(
    programs: Sequence[Program],
    options: ServerOptions,
    handover: Handover,
    refresh: Callable[[], None] = lambda: None,
) -> None:
    if options.store_url is not None:
        # Not on a command line, where everybody could read its password.
        os.environ[STORE_URL_VARIABLE] = options.store_url
    supervise(
        programs,
        drain_seconds=options.drain_seconds,
        announce=announce_ready,
        refresh=refresh,
        handover=handover,
    )
