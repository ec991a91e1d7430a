"""Text to values: the grammar of every option, and the one error for text it does not admit.

No value needs ``<``, ``>``, ``*``, a space or a quote, so that no shell touches it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pytest_sdbatch.errors import OptionError

T = TypeVar("T")

_INTEGER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"([0-9]{1,18}):([0-9]{1,18})(?::(x|\+)([0-9]{1,18}))?")
_RESOLUTION = re.compile(r"([0-9]{1,6})(?:x([0-9]{1,6}))?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")  # float() also takes 1_0 and inf
_LONGEST_AXIS = 100_000
AUTO = "auto"
_AUTO_MOST = 256  # images of a call, where no bound is given
_LEAST_HALVED = 8  # the smallest size between which and its double another one is worth a measurement
_INTEGER_FORMS = "whole numbers of 1 and more: 1,4,8, a range 1:8, 1:64:x2 (times 2) or 2:10:+2"


def parse_integers(text: str, *, option: str) -> tuple[int, ...]:
    """Return the values of ``1,4,8``, ``1:8``, ``1:64:x2``, ``2:10:+2`` or a mix of them, in the order written.

    Raises:
        OptionError: for anything else, an empty list, a value below 1, or a value that appears twice.

    """
    values: list[int] = []
    for item in _items(text, option=option, forms=_INTEGER_FORMS):
        values.extend(_expand(item, text=text, option=option))
        if len(values) > _LONGEST_AXIS:
            raise OptionError(
                f"{option}={text}: more than {_LONGEST_AXIS:,} values",
                fix="use a range with a factor, such as 1:64:x2",
            )
    return _unique(values, text=text, option=option)


def parse_sizes(text: str, *, option: str) -> tuple[int, ...]:
    """Return batch sizes: as :func:`parse_integers`, or of ``auto`` and ``auto:64`` those that are tried in turn.

    ``auto`` doubles up to 256, or to the number behind the colon; in the order of trying, sizes half-way between two
    of these from 8 on come behind them: 1,2,4,8,16,32,64,12,24,48.

    Raises:
        OptionError: as parse_integers, and for ``auto`` beside other values.

    """
    if not is_auto(text):
        if AUTO in (item.strip().partition(":")[0] for item in text.split(",")):
            raise OptionError(f"{option}={text}: {AUTO} stands alone", fix=f"write {AUTO}, or {AUTO}:64")
        return parse_integers(text, option=option)
    _, colon, bound = text.strip().partition(":")
    if colon and (_INTEGER.fullmatch(bound.strip()) is None or int(bound) < 1):
        raise OptionError(f"{option}={text}: {bound!r} is no number of images", fix=f"write {AUTO}, or {AUTO}:64")
    most = int(bound) if colon else _AUTO_MOST
    if most > _LONGEST_AXIS:
        raise OptionError(f"{option}={text}: no device makes so many images at once", fix=f"give {AUTO}:1024")
    powers = tuple(_powers(1, most, 2))
    between = tuple(power * 3 // 2 for power in powers[:-1] if power >= _LEAST_HALVED)
    return (*powers, *((most,) if most not in powers else ()), *between)


def is_auto(text: str) -> bool:
    """Return whether batch sizes are to grow as far as memory does."""
    return text.strip().partition(":")[0] == AUTO


def parse_names(text: str, *, option: str) -> tuple[str, ...]:
    """Return the comma-separated names of *text*, in the order written.

    Raises:
        OptionError: for an empty list, an empty name, or a name that appears twice.

    """
    return _unique(_items(text, option=option, forms="names separated by commas"), text=text, option=option)


def parse_resolutions(text: str, *, option: str) -> tuple[tuple[int, int], ...]:
    """Return (height, width) pairs of ``512`` or ``512x768`` items.

    Raises:
        OptionError: for anything else, a side of 0, or a resolution that appears twice.

    """
    forms = "pixels as 512 or HEIGHTxWIDTH, such as 512x768"
    pairs: list[tuple[int, int]] = []
    for item in _items(text, option=option, forms=forms):
        match = _RESOLUTION.fullmatch(item)
        if match is None or int(match[1]) < 1 or (match[2] is not None and int(match[2]) < 1):
            raise OptionError(f"{option}={text}: {item!r} is no resolution", fix=f"give {forms}")
        pairs.append((int(match[1]), int(match[2] or match[1])))
    return _unique(pairs, text=text, option=option)


def parse_count(text: str, *, option: str, least: int = 1) -> int:
    """Return the whole number *text*, which must be *least* or more."""
    digits = text.strip()
    if _INTEGER.fullmatch(digits) is None or int(digits) < least:
        what = f"less than {least}" if _INTEGER.fullmatch(digits) else "not a whole number"
        raise OptionError(f"{option}={text}: {what}", fix=f"give a whole number of {least} or more")
    return int(digits)


def parse_number(text: str, *, option: str, least: float = 0.0, above: bool = False) -> float:
    """Return the finite number *text*, at least *least* (more than it with *above*)."""
    number = text.strip()
    value = float(number) if _NUMBER.fullmatch(number) else math.nan
    if not math.isfinite(value) or value < least or (above and value == least):
        bound = "more than" if above else "at least"
        raise OptionError(f"{option}={text}: not a usable number", fix=f"give a number of {bound} {least:g}")
    return value


def parse_share(text: str, *, option: str) -> float:
    """Return a share between 0 and 1, written ``1%`` or ``0.01``."""
    number = text.strip()
    scale = 100.0 if number.endswith("%") else 1.0
    try:
        value = parse_number(number.removesuffix("%"), option=option, above=True) / scale
    except OptionError:
        value = math.nan
    if not 0.0 < value < 1.0:
        raise OptionError(f"{option}={text}: not a share between 0 and 1", fix="write it as 1% or 0.01")
    return value


def parse_choice(text: str, *, option: str, choices: Sequence[str]) -> str:
    """Return *text* if it is one of *choices*."""
    if text not in choices:
        raise OptionError(f"{option}={text}: unknown value", fix=f"give one of {', '.join(choices)}")
    return text


def divisors(number: int) -> tuple[int, ...]:
    """Return the divisors of *number* (1 or more), smallest first."""
    small = [value for value in range(1, math.isqrt(number) + 1) if number % value == 0]
    return tuple(sorted({*small, *(number // value for value in small)}))


def _items(text: str, *, option: str, forms: str) -> tuple[str, ...]:
    items = tuple(item.strip() for item in text.split(","))
    if items == ("",):
        raise OptionError(f"{option} is empty", fix=f"give {forms}, or leave the option out")
    if "" in items:
        raise OptionError(f"{option}={text}: nothing between two commas", fix=f"give {forms}")
    return items


def _expand(item: str, *, text: str, option: str) -> Iterable[int]:
    if _INTEGER.fullmatch(item) and int(item) >= 1:
        return (int(item),)
    match = _RANGE.fullmatch(item)
    if match is None:
        raise OptionError(f"{option}={text}: {item!r} is no number or range", fix=f"give {_INTEGER_FORMS}")
    first, last = int(match[1]), int(match[2])
    if first < 1:
        raise OptionError(f"{option}={text}: {item!r} starts below 1", fix=f"give {_INTEGER_FORMS}")
    if last < first:
        raise OptionError(f"{option}={text}: the range {item!r} runs backwards", fix=f"write {max(last, 1)}:{first}")
    step = int(match[4] or 1)
    if match[3] == "x":
        if step < 2:
            raise OptionError(f"{option}={text}: the factor x{step} never ends", fix=f"write {first}:{last}:x2")
        return _powers(first, last, step)
    if step < 1:
        raise OptionError(f"{option}={text}: the step +{step} never ends", fix=f"write {first}:{last}:+1")
    if (last - first) // step >= _LONGEST_AXIS:
        raise OptionError(
            f"{option}={text}: more than {_LONGEST_AXIS:,} values",
            fix=f"use a factor: {first}:{last}:x2",
        )
    return range(first, last + 1, step)


def _powers(first: int, last: int, factor: int) -> Iterable[int]:
    value = first
    while value <= last:
        yield value
        value *= factor


def _unique(values: Iterable[T], *, text: str, option: str) -> tuple[T, ...]:
    seen: dict[T, None] = {}
    for value in values:
        if value in seen:
            shown = "x".join(map(str, value)) if isinstance(value, tuple) else value
            raise OptionError(f"{option}={text}: {shown} appears twice", fix="give each value once")
        seen[value] = None
    return tuple(seen)
