"""Machines' certificates.

A control plane that has the CA's key issues them at once. Elsewhere the request is kept, and the one that has
the key looks for it again and again.
"""

from dataclasses import replace

from hatchway.control.machines.trail import machine_record
from hatchway.control.plane import ControlPlane
from hatchway.domain.machine import Machine
from hatchway.pki.certificate_authority import issue_requested
from hatchway.pki.certificates import KeyPair, expiry
from hatchway.store import Transaction


def issue_certificates(plane: ControlPlane) -> int:
    """Issues what machines have asked of control planes without the CA's key; how many."""
    if plane.own_keys is None or plane.own_keys.authority.issuer() is None:
        return 0
    with plane.store.read() as tx:
        waiting = [each for each in tx.machines.find() if each.request is not None]
    issued = 0
    for each in waiting:
        with plane.store.write() as tx:
            now = tx.machines.get(each.id)
            if now is not None and now.request is not None:
                tx.machines.put(with_certificate(plane, tx, now))
                issued += 1
    return issued


def with_certificate(plane: ControlPlane, tx: Transaction, machine: Machine) -> Machine:
    """The machine with the certificate that it asked for, where the CA's key is here; else as it is."""
    issuer: KeyPair | None = None if plane.own_keys is None else plane.own_keys.authority.issuer()
    if machine.request is None or issuer is None or not machine.names:
        return machine
    # Whoever gets it has another clock.
    now = tx.server_time() or plane.clock()
    certificate = issue_requested(issuer, machine.request.encode(), machine.names, now)
    done = replace(
        machine, request=None, certificate=certificate.decode("ascii"), expires_at=expiry(certificate)
    )
    tx.audit_records.add(
        machine_record(
            plane,
            "IssueCertificate",
            done,
            parameters={"machineId": machine.id, "names": list(machine.names)},
            answer={"notAfter": expiry(certificate).isoformat()},
        )
    )
    return done
