"""The only place where quantities become text. Inside, everything is seconds, bytes and shares of 1.

Text is ASCII except for the sign of :func:`spread`, has three significant digits unless it says otherwise, and
never reads "-0" or "1000 ms". What is unknown has no text here: whoever shows it gives the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_DURATIONS = (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0))
_MEMORY = (("B", 1), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30), ("TiB", 2**40))
_ENERGIES = (("mJ", 1e-3), ("J", 1.0), ("kJ", 1e3))
_MAGNITUDES = (("", 1), (" k", 10**3), (" M", 10**6), (" B", 10**9))
_LEAST_S = 1e-12
_MOST_DIGITS = 17  # of a float


def number(value: float) -> str:
    """Return *value* with three significant digits, or more where its whole part has more: ``0.0123``, ``12,346``.

    Raises:
        ValueError: for a value that is not finite.

    """
    return _number(value, digits=3)


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Return two numbers, in as many digits more as it takes to tell them apart: ``0.1952`` and ``0.1950``.

    Raises:
        ValueError: for a value that is not finite.

    """
    texts = [(_number(one, digits=digits), _number(other, digits=digits)) for digits in range(3, _MOST_DIGITS)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])


def duration(seconds: float) -> str:
    """Return a duration: ``12.3 ms``, ``1.24 s``, ``2 min 5 s``, ``1 h 40 min``.

    Raises:
        ValueError: for a value that is not finite.

    """
    if seconds < 0:
        text = duration(-seconds)
        return text if text == "0 s" else f"-{text}"
    if seconds < _LEAST_S:
        return "0 s"
    for unit, scale in _DURATIONS:
        text = number(seconds / scale)
        if _value(text) < (60 if unit == "s" else 1000):
            return f"{text} {unit}"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def time_left(seconds: float) -> str:
    """Return an estimate of the time left, rounded up: ``about 15 s left``, ``about 2 min left``.

    Raises:
        ValueError: for a value that is negative or not finite.

    """
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{seconds!r} is no time left")
    for limit, step in ((10, 1), (60, 5), (3600, 60), (math.inf, 600)):
        rounded = max(1, math.ceil(seconds / step)) * step
        if rounded < limit:
            break
    if rounded < 60:
        return f"about {rounded} s left"
    hours, minutes = divmod(rounded // 60, 60)
    parts = [f"{hours:,} h" if hours else "", f"{minutes} min" if minutes else ""]
    return f"about {' '.join(part for part in parts if part)} left"


def memory(size_bytes: float) -> str:
    """Return an amount of memory in binary units: ``512 B``, ``12.0 MiB``, ``1.25 GiB``.

    Raises:
        ValueError: for a value that is negative or not finite.

    """
    if size_bytes < 0:
        raise ValueError(f"{size_bytes!r} is no amount of memory")
    if round(size_bytes) < 1000:
        return f"{round(size_bytes)} B"
    return _scaled(size_bytes, _MEMORY[1:], separator=" ")


def energy(joules: float) -> str:
    """Return an amount of energy: ``850 mJ``, ``612 J``, ``1.25 kJ``.

    Raises:
        ValueError: for a value that is negative or not finite.

    """
    if joules < 0:
        raise ValueError(f"{joules!r} is no amount of energy")
    return _scaled(joules, _ENERGIES, separator=" ")


def rate(per_s: float, of: str = "images") -> str:
    """Return a throughput: ``3.21 images/s``.

    Raises:
        ValueError: for a value that is not finite.

    """
    return f"{number(per_s)} {of}/s"


def ratio(value: float) -> str:
    """Return a quotient of two like quantities: ``1.94x``.

    Raises:
        ValueError: for a value that is not finite.

    """
    return f"{number(value)}x"


def times(value: float) -> str:
    """Return how many times as much: ``1.9 times``, ``12 times``.

    Raises:
        ValueError: for a value that is not finite.

    """
    text = f"{_finite(value):.1f}"
    return f"{text} times" if float(text) < 10 else f"{value:,.0f} times"


def share(value: float) -> str:
    """Return a part of 1 in percent: ``5 %``, ``2.5 %``, ``91 %``.

    Raises:
        ValueError: for a value that is not finite.

    """
    text = _percent(value).removesuffix(".0")
    return f"{'-' if value < 0 and text != '0' else ''}{text} %"


def whole_percent(value: float) -> str:
    """Return a part of 1 in whole percent, for columns headed by the sign: ``91``.

    Raises:
        ValueError: for a value that is not finite.

    """
    return str(round(100 * _finite(value)))


def change(value: float) -> str:
    """Return a relative difference with its sign: 0.14 is ``+14 %``, -0.032 is ``-3.2 %``.

    Raises:
        ValueError: for a value that is not finite.

    """
    text = _percent(value)
    sign = "" if text == "0" else "-" if value < 0 else "+"
    return f"{sign}{text} %"


def spread(value: float) -> str:
    """Return a half-width relative to its estimate: 0.008 is ``±0.8 %``.

    Raises:
        ValueError: for a value that is not finite.

    """
    text = _percent(value)
    return f"±{text} %" if value <= 1.0 else ">±100 %"


def count(value: int, noun: str = "") -> str:
    """Return a whole number with grouped thousands, and its noun where one is given: ``10,000``, ``1 round``."""
    text = f"{value:,}"
    return f"{text} {noun}{'' if value == 1 else 's'}" if noun else text


def magnitude(value: int) -> str:
    """Return a large count in thousands, millions or billions: ``214 k``, ``860 M``, ``2.57 B``.

    Raises:
        ValueError: for a negative value.

    """
    if value < 0:
        raise ValueError(f"{value!r} is no count")
    return str(value) if value < 1000 else _scaled(value, _MAGNITUDES[1:], separator="")


def _scaled(value: float, scales: Sequence[tuple[str, float]], *, separator: str) -> str:
    """Return *value* in the first unit in which it rounds to less than 1000, else in the last."""
    texts = [(number(value / scale), unit) for unit, scale in scales]
    text, unit = next((pair for pair in texts if _value(pair[0]) < 1000), texts[-1])
    return f"{text}{separator}{unit}"


def _percent(value: float) -> str:
    """Return the size of *value* in percent, without sign: one decimal below 10."""
    percent = abs(_finite(value)) * 100
    if percent < 0.05:
        return "0"
    return f"{percent:.1f}" if float(f"{percent:.1f}") < 10 else f"{percent:,.0f}"


def _number(value: float, *, digits: int) -> str:
    if _finite(value) == 0:
        return "0"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded value: 9.996 becomes 10.0, not 10.00
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} has no text: unknown is None with a reason")
    return value


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def scale_of_duration(longest_s: float) -> tuple[str, float]:
    """Return the unit in which durations up to *longest_s* are drawn on one axis, and its seconds: ``("ms", 0.001)``.

    Raises:
        ValueError: for a value that is not finite.

    """
    return next((unit, scale) for unit, scale in reversed(_DURATIONS) if _finite(longest_s) >= scale or unit == "ns")


def scale_of_memory(largest_bytes: float) -> tuple[str, int]:
    """Return the unit in which amounts up to *largest_bytes* are drawn on one axis, and its bytes: ``("GiB", 2**30)``.

    Raises:
        ValueError: for a value that is not finite.

    """
    return next((unit, scale) for unit, scale in reversed(_MEMORY) if _finite(largest_bytes) >= scale or unit == "B")
