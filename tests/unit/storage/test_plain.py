"""JSON without its loose ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.plain import parse, to_plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"{", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b'{"a":1,"a":2}', r"^a: appears twice"),
        (b'{"x":[{"b":{"a":1,"c":0,"a":1}}]}', r"^x\[0\]\.b\.a: appears twice"),
        (b'{"x":NaN}', r"^x: not a finite number \(nan\)"),
        (b'{"x":[1,-Infinity]}', r"^x\[1\]: not a finite number"),
        (b'{"x":[0.5,1e999]}', r"^x\[1\]: not a finite number \(inf\)"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "it is no JSON"),
    ],
)
def test_json_that_others_would_accept_is_refused(text: bytes, message: str) -> None:
    """Keys twice, numbers that are none, endless nesting: one error, with the place where there is one."""
    with pytest.raises(RunFileError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"[project]", "expecting value at line 1, column 2"),
        (b'{"a": "b', "unterminated string starting at line 1, column 7"),
        (b"PK\x03\x04\xff", "no text in UTF-8 at byte 5"),
    ],
)
def test_a_file_that_is_no_json_may_be_the_wrong_one(text: bytes, place: str) -> None:
    """Whoever named it is told so, with the place for whoever wrote it."""
    with pytest.raises(RunFileError) as caught:
        parse(text)

    assert caught.value.why == f"it is another kind of file, or was cut short: {place}"


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    )
)
def test_plain_values_stay_as_they_are(value: object) -> None:
    """What is plain already is not changed."""
    assert to_plain(value) == value


@pytest.mark.parametrize(
    "value", [float("nan"), [1, float("inf")], {"a": [0.5, float("nan")]}, 2**63, [[2**63]], object(), [1, Path()]]
)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """Numbers that are not finite or too large, and objects of other kinds."""
    with pytest.raises(RunFileError, match=r"^\$"):
        to_plain(value)
