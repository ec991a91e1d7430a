"""The grammar of prices."""

from __future__ import annotations

import pytest

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.prices import parse_price


def test_a_price_is_by_the_hour() -> None:
    """3.60 an hour is a tenth of a cent a second."""
    assert parse_price("3.60/h", option="--sd-price") == pytest.approx(0.001)


@pytest.mark.parametrize("text", ["", "2.49", "/h", "0/h", "-1/h", "2.49/d", "$2.49/h", "nan/h"])
def test_what_is_no_price_is_refused(text: str) -> None:
    """Whether a price is by hour or by month is worth four letters."""
    with pytest.raises(OptionError) as caught:
        parse_price(text, option="--sd-price")

    assert "--sd-price" in caught.value.what
    assert caught.value.fix
