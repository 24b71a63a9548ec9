"""Values of everything that is stored, made from the types themselves."""

from __future__ import annotations

import enum
from typing import Any, get_args

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as kinds

from agents import versions
from agents.tools.mcp import pins
from core.model import editions, effects, events, inquiries, memory, signals, team, unit, views, work
from core.rules import conversation, reminders
from core.runtime import handover, linking

TAGGED: tuple[type, ...] = (
    *get_args(events.Event),
    *get_args(work.Entry),
    *get_args(effects.Effect),
    *get_args(signals.Errand),
    *get_args(views.View),
    views.Post,
    work.Task,
    work.Reply,
    inquiries.Inquiry,
    inquiries.Vote,
    inquiries.Grant,
    inquiries.Attempt,
    inquiries.Delivery,
    inquiries.Action,
    unit.Audit,
    memory.Memory,
    team.AccountLink,
    team.Absence,
    editions.EditionNote,
    versions.RoleVersion,
    pins.Pin,
    linking.Code,
    reminders.Reminder,
    handover.Handed,
    conversation.Summary,
)
"""Every struct that names its version in its tag."""

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)


def values_of(made: type) -> st.SearchStrategy[Any]:
    """Any value of a struct type."""
    return _values(kinds.type_info(made))


def _values(info: kinds.Type) -> st.SearchStrategy[Any]:
    match info:
        case kinds.StructType():
            return st.deferred(lambda: _struct(info))
        case kinds.UnionType():
            return st.one_of([_values(one) for one in info.types])
        case kinds.VarTupleType():
            return st.lists(_values(info.item_type), max_size=2).map(tuple)
        case kinds.DictType():
            return st.dictionaries(_TEXT, _values(info.value_type), max_size=2)
        case kinds.EnumType():
            return st.sampled_from(list(info.cls))
        case kinds.StrType():
            return _TEXT
        case kinds.BytesType():
            return st.binary(max_size=4)
        case kinds.BoolType():
            return st.booleans()
        case kinds.IntType():
            return st.integers(-(2**53), 2**53)
        case kinds.NoneType():
            return st.none()
        case kinds.AnyType():
            return _JSON
        case _:
            raise AssertionError(info)


def _struct(info: kinds.StructType) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({field.name: _values(field.type) for field in info.fields}).map(
        lambda fields: info.cls(**fields)
    )


def sample(made: type) -> Any:
    """One fixed value, every field set, for a golden blob."""
    return _sample(kinds.type_info(made), made.__name__)


def _sample(info: kinds.Type, name: str) -> Any:
    match info:
        case kinds.StructType():
            return info.cls(**{field.name: _sample(field.type, field.name) for field in info.fields})
        case kinds.UnionType():
            return _sample(next(one for one in info.types if not isinstance(one, kinds.NoneType)), name)
        case kinds.VarTupleType():
            return (_sample(info.item_type, name),)
        case kinds.DictType():
            return {"key": _sample(info.value_type, name)}
        case kinds.EnumType():
            members: list[enum.Enum] = list(info.cls)
            return members[-1]
        case kinds.BytesType():
            return name.encode()
        case kinds.BoolType():
            return True
        case kinds.IntType():
            return len(name)
        case kinds.NoneType():
            return None
        case _:
            return f"a {name}"


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)
