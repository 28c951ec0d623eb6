"""Whether the condition keys of real requests are those that the table of global keys says."""

from collections.abc import Iterable, Mapping

from hatchway.iam.global_keys import GLOBAL_KEYS, Presence, global_key

Keys = Mapping[str, str | tuple[str, ...]]


def carries(keys: Keys, name: str) -> bool:
    """Whether a request has a key of the table, or any of the keys that its placeholder stands for."""
    head = name.lower().partition("${")[0]
    return any(key == head or (head.endswith("/") and key.startswith(head)) for key in keys)


def contradictions(requests: Iterable[Keys]) -> list[str]:
    """What the requests, of which each has its keys in lower case, have otherwise than the table."""
    found = []
    for keys in requests:
        for row in GLOBAL_KEYS:
            carried = carries(keys, row.name)
            if carried is not {Presence.ALWAYS: True, Presence.NEVER: False}.get(row.presence, carried):
                found.append(f"{row.name} is {row.presence} there, but carried={carried}")
            if row.constant is not None and keys.get(row.name.lower()) != row.constant:
                found.append(f"{row.name} is not {row.constant}")
        found += [
            f"{key} is not in the table" for key in keys if key.startswith("aws:") and not global_key(key)
        ]
    return found


def unseen(requests: Iterable[Keys]) -> list[str]:
    """Keys that are sometimes there, but in all or in none of these requests."""
    listed = list(requests)
    return [
        row.name
        for row in GLOBAL_KEYS
        if row.presence is Presence.SOMETIMES and len({carries(keys, row.name) for keys in listed}) == 1
    ]
