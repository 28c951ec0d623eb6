"""What a worker calls the tunnels, requests and events that it begins."""

from __future__ import annotations

import re
import uuid
from itertools import count

from hatchway.gateway.worker.id_generator import IdGenerator


def test_no_id_is_made_twice() -> None:
    ids = IdGenerator()
    made = [id_ for _ in range(5_000) for id_ in (ids.event(), ids.tunnel())]
    assert len(set(made)) == len(made)


def test_two_workers_make_different_ids_in_the_same_moment() -> None:
    one, other = IdGenerator(nanoseconds=lambda: 0), IdGenerator(nanoseconds=lambda: 0)
    assert not {one.event() for _ in range(500)} & {other.event() for _ in range(500)}


def test_ids_of_events_are_uuids_in_the_order_of_milliseconds() -> None:
    milliseconds = count(1_800_000_000_000)
    ids = IdGenerator(nanoseconds=lambda: next(milliseconds) * 1_000_000)
    made = [ids.event() for _ in range(1_000)]
    assert made == sorted(made)
    assert all(uuid.UUID(id_).version == 7 for id_ in made)


def test_a_tunnels_id_looks_as_those_of_ec2_do() -> None:
    ids = IdGenerator()
    assert all(re.fullmatch(r"tun-[0-9a-f]{17}", ids.tunnel()) for _ in range(1_000))


def test_all_random_bytes_are_used_once() -> None:
    asked = list[int]()

    def random_bytes(size: int) -> bytes:
        asked.append(size)
        return bytes([len(asked)]) * size

    ids = IdGenerator(random_bytes)
    made = [ids.tunnel() for _ in range(1_000)]
    # Nine bytes of each, none of two portions, and as many of one portion as there are in it.
    assert len(asked) == -(-1_000 // (asked[0] // 9))
    assert [made.count(f"tun-{f'{number:02x}' * 9}"[:21]) for number in range(1, len(asked))] == [
        asked[0] // 9
    ] * (len(asked) - 1)
