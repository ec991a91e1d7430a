"""Parsed values as dataclasses, by way of structs of msgspec that hold the same and refuse a key they do not know.

msgspec reads dataclasses themselves, but takes no offence at a key that they have no field for, and writes every None.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.plain import join

T = TypeVar("T")

_KEY = re.compile("Object (contains unknown|missing required) field `(.*)`", re.DOTALL)  # msgspec on a key


def convert(value: object, kind: type[T], path: str) -> T:
    """Return the parsed *value* as *kind*, in which every object that was read becomes a dataclass again.

    Raises:
        RunFileError: for an unknown key, a missing key or a wrong type; names the key path below *path*.

    """
    struct = strict(typing.cast("Any", kind))
    found: Any = fill(value, struct, path)
    return found if struct is kind else fill(found, kind, path)


def fill(value: object, kind: type[T], path: str) -> T:
    """Return *value*, parsed, as the struct *kind*, or a struct as the dataclass *kind* with its attributes.

    Raises:
        RunFileError: as :func:`convert`.

    """
    try:
        return msgspec.convert(value, kind, from_attributes=True)
    except msgspec.ValidationError as error:
        problem, at, place = str(error).rpartition(" - at `$")
        if not at:
            problem, place = place, ""
    place = f"{path}{place.removesuffix('`')}".removeprefix(".")
    if key := _KEY.fullmatch(problem):
        place, problem = join(place, key[2]), "missing" if key[1].startswith("missing") else "unknown key"
    raise RunFileError(f"{place}: {problem}")


@functools.cache
def strict(kind: Any) -> Any:
    """Return *kind*, a type, with a struct in place of every dataclass in it; without one it is *kind* itself."""
    if dataclasses.is_dataclass(kind):
        return struct_of(typing.cast("type", kind))
    arguments: tuple[Any, ...] = typing.get_args(kind)
    inner = tuple(strict(argument) for argument in arguments)
    if inner == arguments:
        return kind
    origin: Any = typing.get_origin(kind)
    return functools.reduce(operator.or_, inner) if origin in (typing.Union, types.UnionType) else origin[inner]


def struct_of(
    kind: type,
    *,
    leave_out: frozenset[str] = frozenset(),
    beside: type | None = None,
    names: Mapping[str, str] = {},
    claims: frozenset[str] = frozenset(),
) -> Any:
    """Return a struct with the fields of the dataclass *kind*, in their order.

    It is written without what is None and need not be there; all else is written, so that a document which is read and
    written again stays as it was where :mod:`pytest_sdbatch.storage.codec` wrote it.

    Args:
        kind: the dataclass.
        leave_out: fields of it that are not stored. As attributes they have their defaults: where a dataclass is filled
            from a struct, each that is looked for in vain takes as long as ten that are found.
        beside: a dataclass whose fields come after those of *kind*.
        names: what fields are called where they are stored, by name; others are called what they are.
        claims: fields that must be there, although the dataclass has a default for them.

    """
    fields = [
        (field.name, strict(hint), msgspec.field(name=name) if field.name in claims else _stored(field, name))
        for owner in (kind, beside)
        if owner is not None
        for field, hint in _fields(owner)
        if owner is not kind or field.name not in leave_out
        for name in [names.get(field.name)]
    ]
    return msgspec.defstruct(
        kind.__name__,
        fields,
        module=kind.__module__,
        kw_only=True,
        frozen=True,
        namespace={name: default for name, default in _defaults(kind) if name in leave_out},
        gc=False,  # no cycle can be made of them, and there are many
        omit_defaults=True,
        forbid_unknown_fields=True,
    )


def _fields(kind: type) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return [(field, hints[field.name]) for field in dataclasses.fields(kind)]


def _defaults(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the defaults of *kind* that may be shared."""
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            yield field.name, field.default


def _stored(field: dataclasses.Field[Any], name: str | None) -> Any:
    if field.default is None:
        return msgspec.field(default=None, name=name)
    if field.default is not dataclasses.MISSING:
        # Made anew each time, which msgspec does not take for the default: it is written.
        return msgspec.field(default_factory=lambda: field.default, name=name)
    if field.default_factory is not dataclasses.MISSING:
        make = field.default_factory
        return msgspec.field(default_factory=lambda: make(), name=name)
    return msgspec.field(name=name)
