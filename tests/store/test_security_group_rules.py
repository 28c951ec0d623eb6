"""Each rule of a group's lists has one row, whoever wrote the group."""

from dataclasses import replace
from datetime import UTC, datetime

from alembic import command
from sqlalchemy import text
from tests.store.test_store import schema

from hatchway.domain.account import Account
from hatchway.domain.network import Rule, SecurityGroup, SecurityGroupRule, derived_rule
from hatchway.store import Store

ACCOUNT = Account(
    id="123456789012", region="us-east-1", gateway_dns_name="x", created_at=datetime(2026, 1, 1, tzinfo=UTC)
)
SSH, WEB, OUT = Rule("tcp", 22, 22, "10.0.0.0/16"), Rule("tcp", 80, 81, "::/0"), Rule("-1", 0, 65535, "sg-2")
GROUP = SecurityGroup(
    id="sg-1", vpc_id="vpc-1", name="a", description="", ingress=(SSH, WEB), egress=(OUT, SSH)
)


def rules_in(store: Store) -> dict[tuple[bool, Rule], SecurityGroupRule]:
    with store.read() as tx:
        found = tx.security_group_rules.find(group_id="sg-1")
    by_content = {(one.egress, one.rule): one for one in found}
    assert len(by_content) == len(found)
    return by_content


def test_rows_follow_a_group_s_lists_and_keep_what_else_is_known(store: Store) -> None:
    known = replace(
        derived_rule("1", "sg-1", SSH, egress=False), id="sgr-mine", description="office", tags={"a": "b"}
    )
    with store.write() as tx:
        tx.security_group_rules.put(known)
        tx.security_groups.put(GROUP)
    first = rules_in(store)
    assert first.keys() == {(False, SSH), (False, WEB), (True, OUT), (True, SSH)}
    assert first[False, SSH] == known
    assert len({one.id for one in first.values()}) == 4
    with store.write() as tx:
        tx.security_groups.put(replace(GROUP, ingress=(SSH, OUT), egress=()))
    second = rules_in(store)
    assert second.keys() == {(False, SSH), (False, OUT)}
    assert second[False, SSH] == known
    with store.write() as tx:
        tx.security_groups.delete("sg-1")
    assert rules_in(store) == {}


def test_rules_of_an_older_program_get_the_ids_that_follow_from_what_they_say(store: Store) -> None:
    with store.write() as tx:
        tx.accounts.put(ACCOUNT)
        tx.security_groups.put(GROUP)
    schema(store, command.downgrade, "0012")
    store.migrate()
    expected = [derived_rule(ACCOUNT.id, "sg-1", rule, egress=False) for rule in GROUP.ingress]
    expected += [derived_rule(ACCOUNT.id, "sg-1", rule, egress=True) for rule in GROUP.egress]
    assert sorted(rules_in(store).values(), key=lambda one: one.id) == sorted(
        expected, key=lambda one: one.id
    )
    # A program of before the table writes groups by statements of its own.
    with store.engine.begin() as connection:
        connection.execute(text("""UPDATE security_groups SET ingress = '[["tcp", 23, 23, "10.0.0.0/8"]]'"""))
    assert {rule for egress, rule in rules_in(store) if not egress} == {Rule("tcp", 23, 23, "10.0.0.0/8")}
