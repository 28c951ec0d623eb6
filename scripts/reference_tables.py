#!/usr/bin/env python3
"""Write the tables of docs/settings.md and docs/metrics.md, which follow from the code (`make tables`).

A setting is told by its option's declaration, a quota by the schema of the fleet file, a metric by the
registry that Prometheus asks. A test compares what is there with what this writes.
"""

from __future__ import annotations

import inspect
import os
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from scripts.api_tables import MARKED, ROOT, header, row

from hatchway.cli import init_command, join_token_commands, server_commands
from hatchway.control.metrics import ControlMetrics
from hatchway.domain.account import Quotas
from hatchway.fleet.schema import fleet_schema
from hatchway.gateway.telemetry.metrics import CLOSE_REASONS, Metrics
from hatchway.gateway.tunnel.registry import Registry
from hatchway.keys.key_files import GATEWAY_KEY, MASTER_KEY
from hatchway.settings import DataDirectory
from hatchway.transport.listening.load_shedding import REASONS
from hatchway.transport.websocket.close import Closure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric
    from typer.models import OptionInfo

SETTINGS: Final = ROOT / "docs" / "settings.md"
METRICS: Final = ROOT / "docs" / "metrics.md"

_COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "init": init_command.init,
    "serve": server_commands.serve,
    "control": server_commands.control,
    "gateway": server_commands.gateway,
}
_VALUES: Final = {
    "CIDR": "an address or a CIDR range",
    "DIGITS": "12 digits",
    "DIR": "a directory",
    "FILE": "a PEM file",
    "HOST:PORT": "an address, IPv6 in brackets, and a port",
    "HOST|CIDR": "a host's name, an address or a CIDR range",
    "NAME|ID": "a name or an id",
    "SECONDS": "seconds",
    "URL": "a URL",
}
"""What stands for the values of options, where it does not say enough by itself."""


def made() -> Iterator[str]:
    """What `hatchway init` settles for good."""
    others = {name for command in ("serve", "control", "gateway") for name in _options(_COMMANDS[command])}
    yield from _settings({"init": _COMMANDS["init"]}, without=others)


def servers() -> Iterator[str]:
    """What servers are told as they start."""
    yield from _settings({name: _COMMANDS[name] for name in ("serve", "control", "gateway")})


def variables() -> Iterator[str]:
    """The environment variables that servers, and whoever makes join tokens, read for themselves."""
    yield from header("variable", "meaning")
    found = {
        option.envvar: parameter
        for command in (*_COMMANDS.values(), join_token_commands.create)
        for parameter, (option, _) in _options(command).items()
        if option.envvar
    }
    for variable, parameter in sorted(found.items()):
        yield row(f"`{variable}`", f"`{_option(parameter)}`, unless that option is given")
    directory = DataDirectory(Path("DIR"))
    for kind, path in ((GATEWAY_KEY, directory.gateway_key), (MASTER_KEY, directory.master_key)):
        yield row(f"`{kind.variable}`", f"the {kind.name}, instead of the file `{path.name}`")


def quotas() -> Iterator[str]:
    """What `quotas` of the fleet file may have."""
    yield from header("key", "bounds", "default", "meaning")
    defaults = asdict(Quotas())
    for name, schema in fleet_schema()["properties"]["quotas"]["properties"].items():
        bounds = f"{schema['minimum']:,} to {schema['maximum']:,}"
        yield row(f"`{name}`", bounds, f"{defaults[name]:,}", schema["description"])


def metrics() -> Iterator[str]:
    """What a gateway worker tells, but for what Prometheus's library tells of any process."""
    yield from _metrics(_told())


def control_metrics() -> Iterator[str]:
    """The same of a control plane."""
    yield from _metrics(_control_told())


def _metrics(told: Iterable[Metric]) -> Iterator[str]:
    yield from header("metric", "type", "labels", "meaning")
    for family in sorted(told, key=lambda family: family.name):
        if not family.name.startswith("process_"):
            yield _metric(family)


def process_metrics() -> Iterator[str]:
    """What Prometheus's library tells of the worker's process."""
    yield from header("metric", "type", "labels", "meaning")
    for family in sorted(_told(), key=lambda family: family.name):
        if family.name.startswith("process_"):
            yield _metric(family)


def close_reasons() -> Iterator[str]:
    """The reasons that `hatchway_tunnels_closed_total` counts by, with their codes."""
    yield from header("reason", "code")
    codes = defaultdict(list)
    for code, reason in CLOSE_REASONS.items():
        codes[reason].append(str(code))
    for reason, of in sorted(codes.items()):
        yield row(f"`{reason}`", ", ".join(of))


PAGES: Final[dict[Path, dict[str, Callable[[], Iterable[str]]]]] = {
    SETTINGS: {"made": made, "servers": servers, "variables": variables, "quotas": quotas},
    METRICS: {
        "metrics": metrics,
        "control_metrics": control_metrics,
        "close_reasons": close_reasons,
        "process_metrics": process_metrics,
    },
}


def written_anew(page: Path, text: str) -> str:
    """A page's text, with each of its tables as the code is now.

    Raises:
        KeyError: a marker names no table.
    """
    return MARKED.sub(lambda found: f"{found[1]}{''.join(PAGES[page][found[2]]())}{found[3]}", text)


def _settings(commands: dict[str, Callable[..., None]], without: Iterable[str] = ()) -> Iterator[str]:
    told = {} if len(commands) == 1 else {"of": commands}
    yield from header("option", "value", "bounds", "default", *told, "meaning")
    every: dict[str, tuple[OptionInfo, inspect.Parameter]] = {}
    for command in commands.values():
        every |= _options(command)
    for name, (option, parameter) in every.items():
        if name in without or name in ("json", "unattended"):
            # How the command goes about it, and nothing that lasts.
            continue
        of = [f"`{each}`" for each, command in commands.items() if name in _options(command)]
        yield row(
            f"`{_option(name)}`",
            _value(option, parameter),
            _bounds(option),
            _default(option, parameter),
            *([", ".join(of)] if told else []),
            str(option.help),
        )


def _options(command: Callable[..., None]) -> dict[str, tuple[OptionInfo, inspect.Parameter]]:
    """The options of a command as they are declared, by the names of its parameters; none that is hidden."""
    return {
        name: (option, parameter)
        for name, parameter in inspect.signature(command, eval_str=True).parameters.items()
        if not (option := get_args(parameter.annotation)[1]).hidden
    }


def _option(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


def _value(option: OptionInfo, parameter: inspect.Parameter) -> str:
    declared = get_args(parameter.annotation)[0]
    kinds = get_args(declared) or (declared,)
    if choices := [value for kind in kinds if hasattr(kind, "__members__") for value in kind]:
        return " or ".join(f"`{choice}`" for choice in choices)
    number = "a whole number" if int in kinds else "a number" if float in kinds else ""
    place = str(option.metavar)
    meant = ", ".join(filter(None, (_VALUES.get(place), number)))
    shown = place.replace("|", "\\|")
    return f"`{shown}`: {meant}" if meant else f"`{shown}`"


def _bounds(option: OptionInfo) -> str:
    if option.min is None and option.max is None:
        return "-"
    return f"at least {option.min:,}" if option.max is None else f"{option.min:,} to {option.max:,}"


def _default(option: OptionInfo, parameter: inspect.Parameter) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    if parameter.name == "data_dir":
        return "must be given"
    if parameter.default is None:
        return "-"
    number = parameter.default
    return f"{number:g}" if isinstance(number, float) else str(number)


def _told() -> list[Metric]:
    """What a worker's registry tells when each of its metrics has something to tell."""
    worker = Metrics()
    worker.refused.labels("code")
    for code in CLOSE_REASONS:
        worker.closed(Closure(code, ""))
    worker.watch(
        Registry(),
        pending=lambda: 0,
        shed=lambda: dict.fromkeys(REASONS, 0),
        revision=lambda: 0,
        age=lambda: 0,
        pending_records=lambda: 0,
        ready=lambda: False,
        restores=lambda: 0,
        certificate_expires_at=lambda: None,
    )
    return list(worker.registry.collect())


def _control_told() -> list[Metric]:
    """The same of a control plane's, but for gauges whose values are elsewhere."""
    told = ControlMetrics()
    told.answered("service", None, None)
    told.timed("task", lambda: None)()
    with suppress(OSError):
        told.timed("task", partial(os.stat, "/nowhere"))()
    return list(told.registry.collect())


def _metric(family: Metric) -> str:
    labels: dict[str, list[str]] = defaultdict(list)
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le" and value not in labels[label]:
                labels[label].append(value)
    return row(
        f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
        family.type,
        ", ".join(f"`{label}`" for label in [*labels] or getattr(family, "_labelnames", [])) or "-",
        family.documentation,
    )


def main() -> None:
    for page in PAGES:
        page.write_text(written_anew(page, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
