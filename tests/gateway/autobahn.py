"""Autobahn|Testsuite against the gateway: `python -m tests.gateway.autobahn`.

The suite's own fuzzing client (PyPI `autobahntestsuite`) runs under Python 2 only, and does so where
scripts/setup could install it. Otherwise kosoku runs the suite's own case files under Python 3. It knows no
TLS, which is put in front of it here. Both give the same verdicts.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kosoku import FailureError, run_fuzzingclient
from tests.gateway.echo_end import echoing_gateway
from tests.transport.harness import LOOPBACK, client_tls

from hatchway.transport.websocket.frames import MAX_FRAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

INSTALLED = Path(".cache/autobahn").resolve()
BURST = 4
TIMES_ALONE = 3
"""How often a case that failed is run again, nothing beside it. A case waits for its answers by the clock, a
second or less, which a busy machine can miss; what the gateway does wrong, it does wrong each time."""

CONFORMING = {"OK", "NON-STRICT", "INFORMATIONAL"}


@dataclass(frozen=True)
class Section:
    """Cases, and the largest frame that the gateway takes meanwhile, in bytes."""

    cases: tuple[str, ...]
    without: tuple[str, ...]
    count: int
    max_frame: int


PROTOCOL = Section(("*",), ("9.*", "12.*", "13.*"), 247, MAX_FRAME)
"""All but the volumes and compression (12 and 13), of which the gateway has none."""

VOLUMES = Section(("9.*",), (), 54, 16 << 20)
"""Its frames have up to 16 MiB. The gateway's own limit would answer most of them with 1009."""

Verdicts = dict[str, tuple[str, str]]
"""By case: on what came, and on how the connection was closed."""


def failures(verdicts: Verdicts) -> Verdicts:
    return {case: both for case, both in verdicts.items() if not CONFORMING.issuperset(both)}


@asynccontextmanager
async def _without_tls(url: str) -> AsyncIterator[str]:
    """A listener for clients without TLS, in front of a server with; gives the URL to use instead."""
    server = urlsplit(url)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 17):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await asyncio.open_connection(server.hostname, server.port, ssl=client_tls())
        await asyncio.gather(pass_on(reader, far[1]), pass_on(far[0], writer))

    joined = set[asyncio.Task[None]]()
    listener = await asyncio.start_server(
        lambda *near: joined.add(asyncio.create_task(join(*near))), LOOPBACK, 0
    )
    try:
        yield f"ws://{LOOPBACK}:{listener.sockets[0].getsockname()[1]}{server.path}"
    finally:
        listener.close()
        for task in joined:
            task.cancel()
        await asyncio.gather(*joined, return_exceptions=True)


async def _verdicts(plain: str, cases: Sequence[str], without: Sequence[str], at_once: int) -> Verdicts:
    try:
        results = await run_fuzzingclient(plain, cases, without, at_once)
    except FailureError as failure:
        results = failure.results
    return {result.case_id: (result.behavior.value, result.behavior_close.value) for result in results}


async def _case_files(url: str, section: Section) -> Verdicts:
    async with _without_tls(url) as plain:
        verdicts = await _verdicts(plain, section.cases, section.without, BURST)
        for _ in range(TIMES_ALONE):
            if failed := list(failures(verdicts)):
                verdicts |= await _verdicts(plain, failed, (), 1)
        return verdicts


def with_case_files(section: Section) -> Verdicts:
    """Run the suite's case files under Python 3."""
    with echoing_gateway(section.max_frame) as url:
        return asyncio.run(_case_files(url, section))


def with_fuzzing_client(section: Section) -> Verdicts:
    """Run the suite's own client under Python 2."""
    packages = str(INSTALLED / "packages")
    start = f"import site; site.addsitedir({packages!r}); from autobahntestsuite.wstest import run; run()"
    with echoing_gateway(section.max_frame) as url, TemporaryDirectory() as directory:
        asked = Path(directory, "asked.json")
        asked.write_text(
            json.dumps(
                {
                    "outdir": directory,
                    "servers": [{"agent": "gateway", "url": url}],
                    "cases": section.cases,
                    "exclude-cases": section.without,
                    "exclude-agent-cases": {},
                }
            )
        )
        command = [str(INSTALLED / "python"), "-c", start, "-m", "fuzzingclient", "-s", str(asked)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        report = json.loads(Path(directory, "index.json").read_text())["gateway"]
    return {case: (verdict["behavior"], verdict["behaviorClose"]) for case, verdict in report.items()}


def main() -> int:
    own = (INSTALLED / ".installed").exists()
    run = with_fuzzing_client if own else with_case_files
    whole: Verdicts = {}
    for section in (PROTOCOL, VOLUMES):
        verdicts = run(section)
        if len(verdicts) != section.count:
            print(f"{len(verdicts)} cases ran instead of {section.count}")
            return 1
        whole |= verdicts
    print(f"{len(whole)} cases, by", "the suite's own fuzzing client" if own else "kosoku")
    for (behavior, close), count in Counter(whole.values()).most_common():
        cases = sorted(case for case, both in whole.items() if both == (behavior, close))
        print(f"{count:5}  {behavior}, closed {close}", *(cases if count < 10 else []))
    return 1 if failures(whole) else 0


if __name__ == "__main__":
    sys.exit(main())
