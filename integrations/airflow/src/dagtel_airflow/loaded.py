"""Reading Airflow's objects without asking its database for anything.

An attribute of an ORM object that is not loaded is fetched when it is read, and that may open or end the scheduler's own
transaction. What is loaded stands in the object's `__dict__`; nothing else is read here.
"""

from datetime import datetime
from typing import Any


def loaded(thing: Any, name: str) -> Any:
    """The attribute as far as it is there already, else `None`."""
    return getattr(thing, "__dict__", {}).get(name)


def first_loaded(thing: Any, *names: str) -> Any:
    """The first of these attributes that is there."""
    return next((value for name in names if (value := loaded(thing, name)) is not None), None)


def moment(value: Any) -> str | None:
    """A time as RFC 3339. One without a zone is in UTC, as Airflow keeps it."""
    if not isinstance(value, datetime):
        return None
    return value.isoformat() if value.tzinfo else value.isoformat() + "+00:00"


def word(value: Any) -> str | None:
    """The word of an enumeration's member, or a text."""
    value = getattr(value, "value", value)
    return None if value is None else str(value)
