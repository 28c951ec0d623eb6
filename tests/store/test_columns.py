"""How moments are kept in SQLite: as SQLAlchemy itself writes them."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from hatchway.store.columns import UtcDateTime

written = UtcDateTime().bind_processor(sqlite.dialect())
sqlalchemys = sqlite.DATETIME().bind_processor(sqlite.dialect())  # type: ignore[no-untyped-call]


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-1439, 1439))
def test_a_moment_of_any_time_zone_is_written_in_utc_as_sqlalchemy_writes_it(
    moment: datetime, minutes: int
) -> None:
    assert written is not None
    assert sqlalchemys is not None
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert written(aware) == sqlalchemys(aware.astimezone(UTC).replace(tzinfo=None))


def test_no_moment_is_written_as_none() -> None:
    assert written is not None
    assert written(None) is None
