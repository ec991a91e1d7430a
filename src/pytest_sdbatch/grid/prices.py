"""What devices cost by the hour: the grammar ``2.49/h``, or ``H100:2.49/h,L4:0.71/h`` by what their names hold."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.axes import parse_number

_HOUR_S = 3600.0
_LEAST, _MOST = 1e-9, 1e9  # an hour, in whatever currency; beyond them no sum of money can be shown
_FORMS = "write it as 2.49/h, or by device as H100:2.49/h,L4:0.71/h"


def parse_prices(text: str, *, option: str) -> dict[str, float]:
    """Return dollars per second by words of the device's name, small letters; ``""`` is every device.

    Raises:
        OptionError: for anything but numbers above 0 with ``/h``, for what nobody pays, or a name that appears twice.

    """
    found: dict[str, float] = {}
    for item in text.split(","):
        name, _, amount = item.strip().rpartition(":")
        if not amount.endswith("/h"):
            raise OptionError(f"{option}={text}: {item.strip()!r} is no price per hour", fix=_FORMS)
        words = name.strip().casefold()
        if words in found:
            raise OptionError(f"{option}={text}: {name.strip() or 'the price'} appears twice", fix=_FORMS)
        price = parse_number(amount.removesuffix("/h"), option=option, above=True)
        if not _LEAST <= price <= _MOST:
            raise OptionError(
                f"{option}={text}: {amount} is no price of a device", fix=f"give {_LEAST:.9f} to {_MOST:.0f} an hour"
            )
        found[words] = price / _HOUR_S
    return found


def price_of(prices: Mapping[str, float], device_name: str | None) -> float | None:
    """Return the dollars per second of a device: of the longest name that its own one holds; None: it has no price.

    Whole words only: the price of an L4 is not that of an L40.
    """
    own = (device_name or "").casefold()
    fitting = [name for name in prices if re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", own) or not name]
    return prices[max(fitting, key=len)] if fitting else None
