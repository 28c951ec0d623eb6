"""Checks of a worker's keys and settings, when it starts and when signing keys change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from hatchway.gateway.admission.preserve_client_ip import NOT_PERMITTED
from hatchway.keys.key_files import former_gateway_key
from hatchway.transport.core.loading import CORE, IS_BUILT, PROBLEM, CoreProblem

if TYPE_CHECKING:
    from hatchway.gateway.admission.served import Served
    from hatchway.gateway.snapshot.snapshot import Snapshot
    from hatchway.keys.vault import Vault
    from hatchway.settings import Settings
    from hatchway.store import Changes
    from hatchway.transport.own_addresses import OwnAddresses

log = structlog.get_logger("hatchway.gateway")


def require_own_key(snapshot: Snapshot, gateway_key: Vault, settings: Settings) -> None:
    """
    Raises:
        KeyProblem: the gateway key opens none of the existing signing keys: every tunnel would be refused.
    """
    under = snapshot.sealed_under
    if under and under.isdisjoint(gateway_key.key_ids):
        raise former_gateway_key(settings.data_directory.gateway_key, os.environ)


def warn_of_settings(
    settings: Settings,
    snapshot: Snapshot,
    served: Served,
    own_addresses: OwnAddresses,
    *,
    may_take_addresses: bool,
) -> None:
    """Log settings that do not have the effect that one may expect."""
    if not may_take_addresses:
        for endpoint in snapshot.endpoints:
            if endpoint.preserve_client_ip:
                log.warning("endpoint is of no use here", endpoint_id=endpoint.id, problem=NOT_PERMITTED)
    missing = served.missing(snapshot.vpcs, snapshot.endpoints)
    if missing:
        log.warning("bound to VPCs or endpoints that are not there", missing=missing)
    if settings.compiled_core is None and CORE is None and IS_BUILT:
        log.warning("the compiled core cannot be used: Python carries", problem=PROBLEM)
    if not own_addresses.is_exact:
        log.warning(
            "the kernel tells no routes: this machine's addresses are known by its interfaces alone",
            remedy="allow AF_NETLINK: RestrictAddressFamilies= of the systemd unit",
        )


def log_foreign_keys(gateway_key: Vault, changes: Changes) -> None:
    """Log new signing keys that this gateway cannot open: it opens no tunnel for them, and its operator must
    know.

    The gateway key's file is read again first.
    """
    rows = changes.changed.get("sealed_signing_keys", ())
    under = {row.sealed_under for row in rows}
    if not under <= set(gateway_key.key_ids):
        gateway_key.follow()
    if foreign := under - set(gateway_key.key_ids):
        log.error(
            "signing keys cannot be opened",
            gateway_key_id=gateway_key.key_id,
            sealed_under=sorted(foreign),
            problem="this gateway has another gateway key than the control plane: put that in the place"
            " of gateway.key (or HATCHWAY_GATEWAY_KEY), or have this machine join again (hatchway join)",
        )


def uses_core(settings: Settings) -> bool:
    """Whether the compiled core carries the bytes.

    Raises:
        CoreProblem: the settings demand it, and it cannot be used.
    """
    if settings.compiled_core and CORE is None:
        raise CoreProblem(f"the compiled core (--compiled-core on) cannot be used: {PROBLEM}")
    return settings.compiled_core is not False and CORE is not None
