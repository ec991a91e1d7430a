"""Structs made from dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.strict import convert, strict, struct_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    number: int
    word: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    one: Inner
    maybe: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: Mapping[str, Inner] = field(default_factory=dict)
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    seconds_ns: int


def test_a_type_without_a_dataclass_is_itself() -> None:
    """There is nothing to be strict about."""
    for kind in (int, str | None, dict[str, int], tuple[int, ...], list[list[int | None]]):
        assert strict(kind) == kind


@pytest.mark.parametrize(
    "text",
    [
        b'{"one":{"number":1,"other":2}}',
        b'{"one":{"number":1},"maybe":{"number":1,"other":2}}',
        b'{"one":{"number":1},"many":[{"number":1,"other":2}]}',
        b'{"one":{"number":1},"named":{"a":{"number":1,"other":2}}}',
        b'{"one":{"number":1},"other":2}',
    ],
)
def test_an_unknown_key_is_refused_at_any_depth(text: bytes) -> None:
    """Also of a dataclass in a union, a tuple or a mapping."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `other`"):
        msgspec.json.decode(text, type=strict(Outer))


def test_what_is_none_is_not_written_and_all_else_is() -> None:
    """As the codec writes it: a default that is more than unknown is a statement."""
    text = b'{"one":{"number":1},"many":[],"named":{"a":{"number":2,"word":"x"}},"count":1}'

    assert msgspec.json.encode(msgspec.json.decode(text, type=strict(Outer))) == text
    short = msgspec.json.decode(b'{"one":{"number":1}}', type=strict(Outer))
    assert (short.maybe, short.many, short.named, short.count) == (None, (), {}, 1)


def test_a_struct_becomes_its_dataclass() -> None:
    """Msgspec fills it from the attributes, those within it too."""
    text = b'{"one":{"number":1},"many":[{"number":2}],"named":{"a":{"number":3}}}'
    found = msgspec.convert(msgspec.json.decode(text, type=strict(Outer)), Outer, from_attributes=True)

    assert found == Outer(one=Inner(number=1), many=(Inner(number=2),), named={"a": Inner(number=3)})


def test_fields_may_be_left_out_added_renamed_and_asked_for() -> None:
    """What a record has in seconds a file has in nanoseconds, and some defaults must be said."""
    kind = struct_of(
        Outer,
        leave_out=frozenset({"one", "many", "named"}),
        beside=Beside,
        names={"seconds_ns": "ns"},
        claims=frozenset({"count"}),
    )

    assert msgspec.json.encode(kind(seconds_ns=5, count=1)) == b'{"count":1,"ns":5}'
    with pytest.raises(msgspec.ValidationError, match="missing required field `count`"):
        msgspec.json.decode(b'{"ns":5}', type=kind)


def test_what_is_left_out_is_an_attribute_and_not_stored() -> None:
    """Who fills a dataclass from the struct finds its default, which no file can change."""
    kind = struct_of(Outer, leave_out=frozenset({"maybe", "many"}))
    text = b'{"one":{"number":1},"named":{},"count":1}'
    made = msgspec.json.decode(text, type=kind)

    assert (made.maybe, made.many) == (None, ())
    assert msgspec.json.encode(made) == text
    with pytest.raises(msgspec.ValidationError, match="unknown field `many`"):
        msgspec.json.decode(b'{"one":{"number":1},"many":[]}', type=kind)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"one": {"number": 1, "other": 2}}, r"^at\.one\.other: unknown key"),
        ({"one": {"number": 1}, "maybe": {"number": 1, "other": 2}}, r"^at\.maybe\.other: unknown key"),
        ({"one": {"number": 1}, "many": [{"number": 1}, {"other": 2}]}, r"^at\.many\[1\]\.other: unknown key"),
        ({"one": {"number": 1, "a` - at `$.b": 2}}, r"^at\.one\.a` - at `\$\.b: unknown key"),
        ({"one": {"number": 1.5}}, r"^at\.one\.number: Expected `int`, got `float`"),
        ({"one": {"number": True}}, r"^at\.one\.number: Expected `int`, got `bool`"),
        ({}, r"^at\.one: missing"),
    ],
)
def test_values_of_another_shape_are_refused(value: object, message: str) -> None:
    """Unknown keys at any depth and wrong types name their key path."""
    with pytest.raises(RunFileError, match=message):
        convert(value, Outer, "at")


def test_a_value_of_the_right_shape_is_taken() -> None:
    """The control of the test above."""
    value = {"one": {"number": 1}, "maybe": {"number": 2}, "many": [{"number": 3}]}

    assert convert(value, Outer, "at") == Outer(one=Inner(number=1), maybe=Inner(number=2), many=(Inner(number=3),))
