"""No complaint about a store's URL holds its password, however the URL is misspelt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from hatchway.store import BadStoreUrl, Store, show_problem, show_store
from hatchway.store.url import parse_store_url

SECRET = "hunter2"
MISSPELT = [
    f"postgresql+psycopg:/hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg:hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg//hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg:///hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://hatchway:{SECRET}@db1,db2:port/hatchway",
    f"postgresql+psycopg://hatchway:{SECRET}@db1,/hatchway",
    f"postgresql+psycopg://hatchway:{SECRET}@db1,db2:99999/hatchway",
    f"postgresql+psycopg://hatchway:{SECRET}@db1,db2/hatchway?host=db3",
    f"postgresql+psycopg://hatchway:a,{SECRET}/hatchway",
    f"postgresql+psycopg:// hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:port/hatchway",
    f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:99999999999/hatchway",
    f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:1",
    f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:1/",
    f"postgresql+psycopg://hatchway:{SECRET}/127.0.0.1/hatchway",
    f"postgresql+psycopg://hatchway:p@{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://hatchway:p@{SECRET}/x@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://127.0.0.1:1/hatchway:{SECRET}@hatchway",
    f"postgresql+psycopg://127.0.0.1:1/hatchway@{SECRET}",
    f"postgresql+psycopg://hatchway%3A{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://127.0.0.1:1/hatchway?pass-word={SECRET}",
    f"postgresql+psycopg://127.0.0.1:1/hatchway?{SECRET}=1",
    f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:1/hatchway\n",
    f"postgresql+psycopg://hatchway:{SECRET}\x00@127.0.0.1:1/hatchway",
    f"postgresql+psycopg2://hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgres://hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"mysql://hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"{SECRET}://127.0.0.1/hatchway",
    f"hatchway:{SECRET}@127.0.0.1/hatchway",
    f"host=127.0.0.1 user=hatchway password={SECRET}",
    f"sqlite://hatchway:{SECRET}@127.0.0.1/hatchway",
    f"sqlite:////tmp/x.db?timeout={SECRET}",
    f"sqlite:/{SECRET}",
    "",
]
WELL_SPELT = [
    f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql://hatchway:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql://hatchway:a,{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://hatchway:a%40{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://hatchway:a:{SECRET}@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://hatchway:a/{SECRET}?x=1@127.0.0.1:1/hatchway",
    f"postgresql+psycopg://127.0.0.1:1/hatchway?user=hatchway&password={SECRET}",
    f"postgresql+psycopg://127.0.0.1:1/hatchway?sslmode=disable&sslpassword={SECRET}",
    f"postgresql+psycopg://127.0.0.1:1/hatchway?unheard_of={SECRET}",
]


@pytest.mark.parametrize("url", MISSPELT)
def test_a_misspelt_url_is_told_of_without_a_word_of_it(url: str) -> None:
    with pytest.raises(BadStoreUrl) as raised:
        Store.open(url)
    assert SECRET not in str(raised.value)
    assert "postgresql+psycopg://user:password@host:port/name" in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    assert SECRET not in show_store(url)
    assert SECRET not in show_problem(url, ValueError(f"could not parse {url}"))


@pytest.mark.parametrize("url", WELL_SPELT)
def test_a_url_is_shown_without_its_password(url: str) -> None:
    assert parse_store_url(url).drivername == "postgresql+psycopg"
    assert SECRET not in show_store(url)
    assert show_store(url) == "hatchway at 127.0.0.1:1"
    password = parse_store_url(url).password or SECRET
    problem = OperationalError("SELECT 1", None, Exception(f'bad value "{password}"'))
    assert SECRET not in show_problem(url, problem)


def test_what_the_driver_says_is_told_when_it_holds_no_secret() -> None:
    problem = OperationalError("SELECT 1", None, Exception('database "hatchway" does not exist'))
    assert show_problem(WELL_SPELT[0], problem).startswith(
        'cannot use the store hatchway at 127.0.0.1:1: database "hatchway" does not exist ('
    )
    assert show_problem("sqlite:////nowhere/x.db", problem).startswith("cannot use the store /nowhere/x.db: ")


def test_of_a_right_that_lacks_and_a_full_disk_it_is_told_what_to_do() -> None:
    for code, told in (
        ("42501", "Check the store's URL and the server's grants"),
        ("53100", "free some space"),
    ):
        original = Exception("permission denied for table users")
        original.sqlstate = code  # type: ignore[attr-defined]
        shown = show_problem(WELL_SPELT[0], OperationalError("SELECT 1", None, original))
        assert "hatchway at 127.0.0.1:1: permission denied for table users (" in shown
        assert told in shown


@given(st.text(max_size=80))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    try:
        parse_store_url(text)
    except BadStoreUrl:
        assert show_store(text) == "with an unreadable URL"


def test_several_servers_are_named_as_libpq_has_it() -> None:
    url = parse_store_url("postgresql://hatchway@db1,db2:5433,[fd00::1]/hatchway?target_session_attrs=any")
    assert dict(url.query) == {
        "host": "db1,db2,fd00::1",
        "port": "5432,5433,5432",
        "target_session_attrs": "any",
    }
    assert show_store(f"postgresql://hatchway:{SECRET}@db1,db2:5433/hatchway") == "hatchway at db1,db2"
    assert Store.open("postgresql://hatchway@db1,db2/hatchway").server_hosts == ("db1", "db2")
