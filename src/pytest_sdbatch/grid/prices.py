"""What a device costs by the hour: the grammar ``2.49/h``."""

from __future__ import annotations

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.axes import parse_number

_HOUR_S = 3600.0


def parse_price(text: str, *, option: str) -> float:
    """Return the dollars per second of ``2.49/h``.

    Raises:
        OptionError: for anything but a number above 0 and ``/h``.

    """
    amount = text.strip()
    if not amount.endswith("/h"):
        raise OptionError(f"{option}={text}: no price per hour", fix="write it as 2.49/h")
    return parse_number(amount.removesuffix("/h"), option=option, above=True) / _HOUR_S
