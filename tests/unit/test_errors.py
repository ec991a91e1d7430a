"""Errors say what, why and what to do."""

from __future__ import annotations

import inspect

import pytest

from pytest_sdbatch import errors
from pytest_sdbatch.errors import OptionError, SdbatchError, TooFewSamples, did_you_mean


def test_the_text_holds_what_why_and_fix_in_this_order() -> None:
    """Each part has its own line, so that it can be read at a glance and found by a program."""
    error = OptionError("no such size", why="sizes start at 1", fix="use 1")

    assert str(error) == "no such size\n  why: sizes start at 1\n  do:  use 1"


@pytest.mark.parametrize(
    ("why", "fix", "expected"),
    [("", "", "no"), ("because", "", "no\n  why: because"), ("", "this", "no\n  do:  this")],
)
def test_parts_that_were_not_given_leave_no_line(why: str, fix: str, expected: str) -> None:
    """An error without a cause or a remedy shows no empty label."""
    assert str(SdbatchError("no", why=why, fix=fix)) == expected


def test_parts_can_be_read_one_by_one() -> None:
    """Code that shows an error in its own form needs no parsing."""
    error = SdbatchError("what", why="why", fix="fix")

    assert (error.what, error.why, error.fix) == ("what", "why", "fix")


def test_every_error_is_caught_by_the_base_class() -> None:
    """One except clause is enough for a caller, whatever went wrong."""
    classes = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, Exception)]

    assert len(classes) > 1
    assert all(issubclass(item, SdbatchError) for item in classes)


def test_too_few_samples_is_a_value_error() -> None:
    """Users of the statistics alone catch what the standard library's statistics raise."""
    with pytest.raises(ValueError, match="3 needed"):
        raise TooFewSamples("3 needed, 2 given")


def test_one_line_keeps_what_why_and_fix_apart() -> None:
    """Footnotes and lines of progress have no room for three lines; parts that are missing leave no mark."""
    assert SdbatchError("no\nsize", why="it is 0", fix="use 1").line == "no size: it is 0; do: use 1"
    assert SdbatchError("no", fix="use 1").line == "no; do: use 1"
    assert SdbatchError("no").line == "no"


def test_a_name_that_is_close_is_suggested() -> None:
    """Only one that is; nothing is made up for a word that is like no name."""
    assert did_you_mean("sd_step", ["sd_steps", "sd_seed"]) == "did you mean sd_steps?"
    assert did_you_mean("zzz", ["sd_steps"]) == ""


def test_names_in_an_error_are_shown_and_not_obeyed() -> None:
    """Neither by a terminal nor by the log of a job, on whatever line they stand."""
    error = SdbatchError("\x1b[31mno\n::error::x.json", why="a\u202eb\n::warning::c", fix="##[error]d")

    assert str(error).splitlines() == [
        r"\x1b[31mno", r"  \x3a:error::x.json", r"  why: a\u202eb", r"       \x3a:warning::c", r"  do:  \x23#[error]d",
    ]  # fmt: skip
    assert error.line == r"\x1b[31mno \x3a:error::x.json: a\u202eb \x3a:warning::c; do: \x23#[error]d"
