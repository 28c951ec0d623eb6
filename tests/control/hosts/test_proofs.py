"""A host sees for itself that its sshd asks, by a key that lets nobody do anything."""

import re
from datetime import timedelta

import pytest
from tests.control.harness import ARNS, INSTANCE, STOPPED_INSTANCE, Answer, World
from tests.control.test_ssh_keys import FINGERPRINT, KEY, announced, ask, enrolled, new_key, push

from hatchway.control.hosts.proofs import LARGEST_KEY, LIFETIME, PAUSE
from hatchway.domain.public_key import parse_public_key


def prove(world: World, token: str | None, user: str = "root", key: str = KEY) -> Answer:
    headers = {} if token is None else {"Authorization": f"Bearer {token}", "User-Agent": "curl/8"}
    return world.send("POST", f"/host/v1/proof?user={user}", headers, f"{key}\n".encode())


def test_a_host_gets_its_own_key_that_runs_true_from_itself_and_nothing_else(world: World) -> None:
    token, other = enrolled(world), enrolled(world, STOPPED_INSTANCE)
    answer = prove(world, token)
    assert (answer.status, answer.text) == (200, FINGERPRINT + "\n")
    status, line = ask(world, token, user="root")
    assert status == 200
    found = re.fullmatch(r'restrict,from="127.0.0.1,::1,([0-9a-f.:,]+)",command="true" (.*) (.*)\n', line)
    assert found is not None
    with world.store.read() as tx:
        instance = tx.instances.get(INSTANCE)
    assert instance is not None
    assert found[1].split(",") == list(instance.addresses)
    assert (found[2], found[3]) == (KEY.removesuffix(" me@here"), ARNS.instance(INSTANCE))
    assert ask(world, token, user="ami-username") == (200, "")
    assert ask(world, other, user="root") == (200, "")
    (event,) = world.events("ProveHost")
    assert event["requestParameters"] == {
        "instanceId": INSTANCE, "osUser": "root", "fingerprint": FINGERPRINT
    }  # fmt: skip
    world.clock.ahead = LIFETIME
    assert ask(world, token, user="root") == (200, "")
    assert prove(world, token).status == 200


def test_a_host_has_one_such_key_at_a_time_and_none_that_somebody_pushed(world: World) -> None:
    token = enrolled(world)
    push(world.client("ec2-instance-connect"))
    assert prove(world, token, "ami-username").status == 409
    assert ask(world, token)[1].startswith("ssh-ed25519 ")
    first, second = new_key(), new_key()
    assert prove(world, token, key=first).status == 200
    with world.store.write():
        # It is not the lock that refuses.
        assert prove(world, token, key=second).status == 429
    world.clock.ahead = PAUSE + timedelta(seconds=1)
    assert prove(world, token, key=second).status == 200
    found = [ask(world, token, "root", parse_public_key(key).fingerprint)[1] for key in (first, second)]
    assert [bool(each) for each in found] == [False, True]
    assert len(world.events("ProveHost")) == 2


@pytest.mark.parametrize(
    ("user", "key", "status"),
    [
        ("", KEY, 400),
        ("u" * 65, KEY, 400),
        ("a%0Ab", KEY, 400),
        ("root", "", 400),
        ("root", "\u00e9" * 80, 400),
        ("root", f"{KEY}\n{KEY}", 400),
        ("root", f'command="id" {KEY}', 400),
        ("root", "x" * LARGEST_KEY, 413),
    ],
)
def test_what_is_no_user_or_key_is_refused(world: World, user: str, key: str, status: int) -> None:
    assert prove(world, enrolled(world), user, key).status == status
    assert world.events("ProveHost") == []


def test_who_has_no_good_token_gets_no_key(world: World) -> None:
    old, new = enrolled(world), announced(world)
    for wrong in (None, "x", new + "x"):
        assert prove(world, wrong).status == 401
    assert prove(world, new).status == 200
    assert [ask(world, each)[0] for each in (old, new)] == [401, 200]
