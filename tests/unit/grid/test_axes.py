"""The grammar of axes: what is written is what is measured, and what cannot be measured is refused at once."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.axes import (
    divisors,
    parse_choice,
    parse_count,
    parse_integers,
    parse_names,
    parse_number,
    parse_resolutions,
    parse_share,
    parse_sizes,
)

T = TypeVar("T")

OPTION = "--sd-batch-sizes"
INTEGERS = st.integers(min_value=1, max_value=10**17)
# Text near the grammar reaches deeper than arbitrary text does.
NEARLY = st.text(alphabet="0123456789:x+,-. e%", max_size=24) | st.text(max_size=12)


def read(parse: Callable[..., T], text: str, **keywords: object) -> T | OptionError:
    """Return what *parse* makes of *text*: a value, or an error that names the option and what to do."""
    try:
        return parse(text, option=OPTION, **keywords)
    except OptionError as error:
        caught = error
    assert OPTION in caught.what
    assert caught.fix
    return caught


def refusal(parse: Callable[..., object], text: str, **keywords: object) -> OptionError:
    """Return the error that *parse* raises for *text*."""
    error = read(parse, text, **keywords)
    assert isinstance(error, OptionError)
    return error


@given(st.lists(INTEGERS, min_size=1, max_size=20, unique=True))
def test_a_list_is_read_as_it_is_written(values: list[int]) -> None:
    """The order is kept: users put the case they care about first."""
    assert parse_integers(",".join(map(str, values)), option=OPTION) == tuple(values)


@given(INTEGERS, st.integers(1, 10**6), st.integers(1, 200))
def test_a_range_with_a_step_holds_both_ends(first: int, step: int, length: int) -> None:
    """``2:10:+2`` is 2,4,6,8,10: a last value that the step reaches is measured."""
    last = first + step * (length - 1)

    assert parse_integers(f"{first}:{last}:+{step}", option=OPTION) == tuple(range(first, last + 1, step))


@given(st.integers(1, 1000), st.integers(2, 10), st.integers(0, 14))
def test_a_range_with_a_factor_holds_both_ends(first: int, factor: int, doublings: int) -> None:
    """``1:64:x2`` is 1,2,4,...,64."""
    values = tuple(first * factor**power for power in range(doublings + 1))

    assert parse_integers(f"{first}:{values[-1]}:x{factor}", option=OPTION) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", (8,)),
        ("1:8", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("1:64:x2", (1, 2, 4, 8, 16, 32, 64)),
        ("1:100:x3", (1, 3, 9, 27, 81)),
        ("2:10:+2", (2, 4, 6, 8, 10)),
        ("2:9:+4", (2, 6)),
        ("7:7", (7,)),
        ("1:4,8,16:64:x2", (1, 2, 3, 4, 8, 16, 32, 64)),
        (" 1 , 4 ", (1, 4)),
        ("1:999999999999:x10", tuple(10**power for power in range(12))),
    ],
)
def test_examples_of_the_manual_mean_what_it_says(text: str, values: tuple[int, ...]) -> None:
    """The forms that help texts and errors recommend are read as they read."""
    assert parse_integers(text, option=OPTION) == values


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abc", "'abc'"),
        ("0", "'0'"),
        ("-1", "'-1'"),
        ("1.5", "'1.5'"),
        ("1,,4", "nothing between two commas"),
        ("1,4,", "nothing between two commas"),
        ("1,1", "1 appears twice"),
        ("1:4,4", "4 appears twice"),
        ("4:1", "runs backwards"),
        ("4:0", "runs backwards"),
        ("0:4", "starts below 1"),
        ("0:0", "starts below 1"),
        ("1:8:x1", "never ends"),
        ("1:8:x0", "never ends"),
        ("1:8:+0", "never ends"),
        ("1:8:-1", "'1:8:-1'"),
        ("1:8:2", "'1:8:2'"),
        ("1:", "'1:'"),
        (":8", "':8'"),
        ("1:2:x2:x2", "'1:2:x2:x2'"),
        ("+0", "'+0'"),
        ("1 4", "'1 4'"),
        ("1_000", "'1_000'"),
        ("\u0661,\u0664", "'\u0661'"),  # Arabic-Indic digits, which int() reads
        ("\uff11", "'\uff11'"),  # a fullwidth digit
        ("", "is empty"),
        ("   ", "is empty"),
        (",", "nothing between two commas"),
        ("9" * 19, "9" * 19),
        pytest.param("9" * 5000, "9" * 5000, id="more digits than int() reads"),
        ("1:999999999999", "more than 100,000 values"),
        ("1:100001", "more than 100,000 values"),
        ("1:60000,60001:120000", "more than 100,000 values"),
        (f"1:{'9' * 18}:+1", "more than 100,000 values"),
        (f"1:{'9' * 19}", "9" * 19),
    ],
)
def test_whole_numbers_that_cannot_be_measured_are_refused(text: str, reason: str) -> None:
    """The error names the option, what is wrong with it and what to write, and comes before any memory is taken."""
    assert reason in refusal(parse_integers, text).what


@given(NEARLY)
@example("1" * 18 + ":" + "9" * 18 + ":x2")
@example("1:100000")
def test_any_text_is_an_axis_or_an_option_error(text: str) -> None:
    """No text makes the grammar fail in another way, and what it admits are distinct numbers of 1 and more."""
    values = read(parse_integers, text)

    if not isinstance(values, OptionError):
        assert values
        assert min(values) >= 1
        assert len(set(values)) == len(values) <= 100_000


@given(st.integers(0, 10**17), st.integers(0, 10**17), st.sampled_from(["", ":x0", ":x1", ":+0", ":+1", ":x2"]))
@example(9, 0, "")
def test_writing_what_errors_tell_to_write_leads_to_an_axis(first: int, last: int, step: str) -> None:
    """A range that an error recommends is admitted, or brings a recommendation that is."""
    text = f"{first}:{last}{step}"
    for _ in range(2):
        values = read(parse_integers, text)
        if isinstance(values, OptionError):
            recommended = re.fullmatch(r"(?:write|use a factor:) (\S+)", values.fix)
            text = recommended[1] if recommended else "1:8"

    assert parse_integers(text, option=OPTION)


@given(st.lists(st.text("abcxyz./@-+", min_size=1, max_size=8), min_size=1, max_size=8, unique=True))
def test_names_are_read_as_they_are_written(names: list[str]) -> None:
    """Names keep their order, their case and every sign but the comma."""
    assert parse_names(",".join(names), option=OPTION) == tuple(names)


@pytest.mark.parametrize("text", ["", " ", ",", "a,,b", "a,b,", "a,a", "a, a"])
def test_missing_and_repeated_names_are_refused(text: str) -> None:
    """A slip of the comma is no request for an unnamed model."""
    refusal(parse_names, text)


@given(st.lists(st.tuples(st.integers(1, 999_999), st.integers(1, 999_999)), min_size=1, max_size=8, unique=True))
def test_resolutions_are_read_as_height_by_width(pairs: list[tuple[int, int]]) -> None:
    """The first number is the height, as in the id of a case."""
    assert parse_resolutions(",".join(f"{h}x{w}" for h, w in pairs), option=OPTION) == tuple(pairs)


def test_one_side_stands_for_a_square() -> None:
    """``512`` is 512x512."""
    assert parse_resolutions("512,512x768", option=OPTION) == ((512, 512), (512, 768))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "0",
        "0x512",
        "512x0",
        "512x",
        "x512",
        "512X512",
        "512x512x3",
        "-512",
        "9999999",
        "512,512x512",
        "1,,2",
    ],
)
def test_resolutions_that_are_none_are_refused(text: str) -> None:
    """A side of 0, a third side, or the same resolution in two spellings is an error."""
    refusal(parse_resolutions, text)


@given(NEARLY)
def test_any_text_is_a_resolution_or_an_option_error(text: str) -> None:
    """No text makes the reader fail in another way."""
    pairs = read(parse_resolutions, text)

    if not isinstance(pairs, OptionError):
        assert all(height >= 1 and width >= 1 for height, width in pairs)


@given(st.integers(0, 10**18 - 1))
def test_a_count_is_read_as_it_is_written(number: int) -> None:
    """Seeds may be any number of up to 18 digits."""
    assert parse_count(f" {number} ", option=OPTION, least=0) == number


@pytest.mark.parametrize("text", ["", "abc", "-1", "+1", "1.0", "1e3", "1,2", "1_0", "\u0661", "9" * 19])
def test_counts_that_are_none_are_refused(text: str) -> None:
    """A count is plain digits, whatever int() would make of the text."""
    refusal(parse_count, text, least=0)


def test_the_least_count_is_the_callers() -> None:
    """0 is a seed but no number of rounds; the error says which is asked for."""
    assert parse_count("0", option=OPTION, least=0) == 0
    assert "1 or more" in refusal(parse_count, "0").fix


@given(st.floats(0.0, 1e300, allow_subnormal=False))
def test_a_number_is_read_as_python_writes_it(number: float) -> None:
    """Markers hold floats: their text form comes back as the same float."""
    assert parse_number(repr(number), option=OPTION) == number


@pytest.mark.parametrize("text", ["7", "7.", ".5", "7.5", "+7.5", "1e-3", "1E3", " 2 "])
def test_the_usual_forms_of_a_number_are_admitted(text: str) -> None:
    """Whatever a number looks like in a configuration file, it is that number."""
    assert parse_number(text, option=OPTION) == float(text)


@pytest.mark.parametrize(
    "text",
    ["", "abc", "-1", "nan", "inf", "-inf", "1e999", "1_0", "0x10", "\u0661", ".", "e3", "1,5", "9" * 100_000 + "x"],
)
def test_numbers_that_are_none_are_refused(text: str) -> None:
    """Unknown, infinite and negative are no settings, and digits of other scripts are no digits here."""
    refusal(parse_number, text)


def test_a_long_text_is_refused_as_fast_as_a_short_one() -> None:
    """A hundred thousand digits and a slip at their end are read once, not once per digit."""
    refusal(parse_number, "9" * 100_000 + "x")


def test_zero_is_refused_where_it_would_mean_nothing() -> None:
    """A guidance of 0 is admitted, a time of 0 seconds is not."""
    assert parse_number("0", option=OPTION) == 0.0
    assert "more than 0" in refusal(parse_number, "0", above=True).fix


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), (" 5 % ", 0.05), ("99.9%", 0.999)])
def test_a_share_may_be_a_percentage(text: str, share: float) -> None:
    """``1%`` and ``0.01`` are the same."""
    assert math.isclose(parse_share(text, option=OPTION), share)


@pytest.mark.parametrize("text", ["", "%", "0", "0%", "1", "100%", "5", "-1%", "1%%", "nan", "inf%", "1e-400", "abc"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    """Nothing and all are no tolerances, and 5 was meant as 5 %: guessing is worse than asking."""
    refusal(parse_share, text)


@given(NEARLY)
def test_any_text_is_a_share_or_an_option_error(text: str) -> None:
    """No text makes the reader fail in another way."""
    share = read(parse_share, text)

    if not isinstance(share, OptionError):
        assert 0.0 < share < 1.0


def test_a_choice_is_one_of_those_listed() -> None:
    """The error lists them."""
    assert parse_choice("pt", option=OPTION, choices=("pt", "latent")) == "pt"
    assert "pt, latent" in refusal(parse_choice, "jpeg", choices=("pt", "latent")).fix


@given(st.integers(1, 3000))
def test_divisors_are_all_and_only_those_that_divide(number: int) -> None:
    """They come smallest first, like the splits of a number of images."""
    assert divisors(number) == tuple(value for value in range(1, number + 1) if number % value == 0)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("auto:1", (1,)),
        ("auto:8", (1, 2, 4, 8)),
        (" auto:64 ", (1, 2, 4, 8, 16, 32, 64, 12, 24, 48)),
        ("auto:20", (1, 2, 4, 8, 16, 20, 12)),
        ("auto", (1, 2, 4, 8, 16, 32, 64, 128, 256, 12, 24, 48, 96, 192)),
        ("1:8:x2", (1, 2, 4, 8)),
    ],
)
def test_auto_doubles_and_then_halves_the_steps(text: str, sizes: tuple[int, ...]) -> None:
    """The bound is tried as well; sizes between two others are tried once it is known which of those fit."""
    assert parse_sizes(text, option=OPTION) == sizes


@pytest.mark.parametrize("text", ["auto,4", "4,auto", "auto:", "auto:0", "auto:x", "auto:1:8", "auto:1000000", "Auto"])
def test_auto_stands_alone_with_one_bound(text: str) -> None:
    """Anything else is refused, and what to write is said."""
    assert isinstance(read(parse_sizes, text), OptionError)


@given(st.integers(1, 2**16))
def test_sizes_of_auto_are_distinct_and_within_the_bound(most: int) -> None:
    """From 1 to the bound, each once, no step more than double."""
    sizes = sorted(parse_sizes(f"auto:{most}", option=OPTION))

    assert (sizes[0], sizes[-1]) == (1, most)
    assert len(set(sizes)) == len(sizes)
    assert all(larger <= 2 * smaller for smaller, larger in itertools.pairwise(sizes))


def test_an_end_of_auto_that_is_no_number_is_quoted_as_it_was_typed() -> None:
    """With the form that would do."""
    with pytest.raises(OptionError) as caught:
        parse_sizes("auto:eight", option="--sd-batch-sizes")

    assert caught.value.what == "--sd-batch-sizes=auto:eight: 'eight' is no number of images"
    assert caught.value.fix == "write auto, or auto:64"
