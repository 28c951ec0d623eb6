"""Column types: how a noun's fields are kept in SQLite and PostgreSQL alike."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, String
from sqlalchemy.types import TypeDecorator

from hatchway.domain.account import Quotas
from hatchway.domain.network import Rule


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always aware and in UTC; SQLite itself keeps no offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return value.astimezone(UTC)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        if dialect.name != "sqlite":
            return super().bind_processor(dialect)
        bind = self.process_bind_param

        def written(value: datetime | None) -> str | None:
            if value is not None and value.tzinfo is UTC:
                return _written(value)
            moment = bind(value, dialect)
            return None if moment is None else _written(moment)

        return written

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@lru_cache(maxsize=64)
def _written(moment: datetime) -> str:
    """A moment in UTC as SQLAlchemy has SQLite keep it. Of what is entered together several rows have it."""
    second = _second((moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second))
    return f"{second}.{str(1_000_000 + moment.microsecond)[1:]}"


@lru_cache(maxsize=64)
def _second(fields: tuple[int, int, int, int, int, int]) -> str:
    """Where moments are many, most are of a second of which others were. To write one takes longer than to
    find it, and so does `replace`."""
    return datetime(*fields).isoformat(" ")


class EnumText(TypeDecorator[StrEnum]):
    """A StrEnum by its value."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__(64)
        self.enum = enum

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.enum(value)


class Texts(TypeDecorator[tuple[str, ...]]):
    """A tuple of texts, as a JSON array."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> list[str]:
        return list(value or ())

    def process_result_value(self, value: list[str] | None, dialect: Dialect) -> tuple[str, ...]:
        return tuple(value or ())


class TagMap(TypeDecorator[Mapping[str, str]]):
    """Tags, as a JSON object."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> dict[str, str]:
        return dict(value or {})

    def process_result_value(self, value: dict[str, str] | None, dialect: Dialect) -> dict[str, str]:
        return value or {}


class Flags(TypeDecorator[Mapping[str, bool]]):
    """Settings that were made, as a JSON object."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, bool] | None, dialect: Dialect) -> dict[str, bool]:
        return dict(value or {})

    def process_result_value(self, value: dict[str, bool] | None, dialect: Dialect) -> dict[str, bool]:
        return value or {}


class RuleList(TypeDecorator[tuple[Rule, ...]]):
    """Rules of a security group, each as `[protocol, from, to, peer]`."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[Rule, ...] | None, dialect: Dialect) -> list[list[Any]]:
        return [[rule.protocol, rule.from_port, rule.to_port, rule.peer] for rule in value or ()]

    def process_result_value(self, value: list[list[Any]] | None, dialect: Dialect) -> tuple[Rule, ...]:
        return tuple(Rule(*fields) for fields in value or ())


class QuotaMap(TypeDecorator[Quotas]):
    """An account's quotas, as a JSON object of those that are not AWS's own.

    A program of before a quota knows nothing of it, and reads on as long as nobody sets it.
    """

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Quotas | None, dialect: Dialect) -> dict[str, int]:
        usual = asdict(Quotas())
        return {name: most for name, most in asdict(value or Quotas()).items() if most != usual[name]}

    def process_result_value(self, value: dict[str, int] | None, dialect: Dialect) -> Quotas:
        known = asdict(Quotas())
        return Quotas(**{name: most for name, most in (value or {}).items() if name in known})
