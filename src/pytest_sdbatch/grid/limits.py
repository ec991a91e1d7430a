"""The grammar of budgets (how much worse than the baseline) and limits (how bad at all): ``metric:value,metric:value``.

A marker writes it as a mapping, ``limit={"peak_memory": "20GiB"}``; :func:`pytest_sdbatch.options.to_text` makes the
same text of that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from pytest_sdbatch.errors import OptionError, did_you_mean
from pytest_sdbatch.grid.axes import parse_number, parse_share

_DURATION = re.compile(r"(.*?)\s*(ms|s|min)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0}
_MEMORY = re.compile(r"(.*?)\s*(B|KiB|MiB|GiB|TiB)")
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

Reader = Callable[..., float]  # of a text and the option it stands in


def parse_budgets(text: str, *, option: str) -> dict[str, float]:
    """Return the shares by which ``time`` and ``peak_memory`` may grow, of ``time:3%,peak-memory:1%``.

    Raises:
        OptionError: for an unknown metric, one that appears twice, or a value that is no share.

    """
    return _parse(text, option=option, readers={"time": parse_share, "peak_memory": parse_share}, example="time:3%")


def parse_limits(text: str, *, option: str) -> dict[str, float]:
    """Return what a case must keep, of ``latency:4s,peak-memory:20GiB,images-per-s:1.5``.

    ``latency`` is the most seconds of a call, ``peak_memory`` the most bytes, ``images_per_s`` the fewest images.

    Raises:
        OptionError: for an unknown metric, one that appears twice, or a value that it does not take.

    """
    readers = {"latency": parse_duration, "peak_memory": parse_memory, "images_per_s": _parse_rate}
    return _parse(text, option=option, readers=readers, example="peak-memory:20GiB")


def parse_duration(text: str, *, option: str) -> float:
    """Return the seconds of ``250ms``, ``4s`` or ``2min``."""
    return _with_unit(text, _DURATION, _SECONDS, option=option, what="duration", example="4s, 250ms or 2min")


def parse_memory(text: str, *, option: str) -> float:
    """Return the bytes of ``20GiB``, ``512MiB``, ``64KiB`` or ``4096B``."""
    return _with_unit(text, _MEMORY, _BYTES, option=option, what="amount of memory", example="20GiB or 512MiB")


def _parse_rate(text: str, *, option: str) -> float:
    return parse_number(text, option=option, above=True)


def _parse(text: str, *, option: str, readers: Mapping[str, Reader], example: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in text.split(","):
        name, colon, value = item.strip().partition(":")
        metric = name.strip().replace("-", "_")
        if not colon and "=" in name:
            raise OptionError(f"{option}={text}: a colon parts metric and value", fix=f"write {text.replace('=', ':')}")
        if metric not in readers:
            what = f"{name!r} is no metric that it takes" if name else "a metric is missing"
            near = did_you_mean(metric, readers)
            raise OptionError(f"{option}={text}: {what}", fix=near or f"use one of {', '.join(readers)}")
        if not colon or not value.strip():
            raise OptionError(f"{option}={text}: {metric} has no value", fix=f"write it like {example}")
        if metric in found:
            raise OptionError(f"{option}={text}: {metric} appears twice", fix="give each metric once")
        try:
            found[metric] = readers[metric](value.strip(), option=f"{option}: {metric}")
        except OptionError as error:  # as it was written: options have an equals sign, metrics a colon
            raise OptionError(error.what.replace(f"{metric}=", f"{metric}:", 1), why=error.why, fix=error.fix) from None
    return found


def _with_unit(
    text: str, form: re.Pattern[str], units: Mapping[str, float], *, option: str, what: str, example: str
) -> float:
    match = form.fullmatch(text.strip())
    try:
        number = parse_number(match[1], option=option, above=True) if match is not None else None
    except OptionError:
        number = None
    if match is None or number is None or not 0 < (value := number * units[match[2]]) < math.inf:
        raise OptionError(f"{option}={text}: no {what}", fix=f"give a number above 0 with its unit: {example}")
    return value
