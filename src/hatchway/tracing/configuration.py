"""Whether traces are asked for (OpenTelemetry: "Environment Variable Specification", "OTLP Exporter
Configuration"). Pure.
"""

from collections.abc import Mapping
from typing import Final

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL: Final = "http/protobuf"


class BadConfiguration(Exception):
    """Traces are asked for in a way that cannot be had. The message says what to change."""


def asked_for(environ: Mapping[str, str]) -> bool:
    """Whether this environment asks for traces: by an OTLP endpoint, or by naming OTLP as the exporter.

    A variable that is empty counts as absent, as everywhere in OpenTelemetry.

    Raises:
        BadConfiguration: see there.
    """
    exporters = {name.strip().lower() for name in environ.get(EXPORTER, "").split(",")} - {""}
    endpoint = _first_set(environ, ENDPOINTS)
    if environ.get(DISABLED, "").strip().lower() == "true" or exporters == {"none"}:
        return False
    if not exporters and endpoint is None:
        return False
    if exporters and exporters != {"otlp"}:
        raise BadConfiguration(f"{EXPORTER} may be otlp or none: Hatchway has no other exporter")
    protocol = _first_set(environ, PROTOCOLS)
    if protocol is not None and environ[protocol].strip() != PROTOCOL:
        raise BadConfiguration(
            f"{protocol} must be {PROTOCOL} or unset, and the endpoint the collector's for that, most often"
            " port 4318: Hatchway speaks no other"
        )
    if endpoint is not None and not environ[endpoint].lower().startswith(("http://", "https://")):
        raise BadConfiguration(f"{endpoint} is no URL that begins with http:// or https://")
    return True


def _first_set(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if environ.get(name, "").strip()), None)
