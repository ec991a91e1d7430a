"""The grammar of prices."""

from __future__ import annotations

import pytest

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.prices import parse_prices, price_of


def test_a_price_is_by_the_hour() -> None:
    """3.60 an hour is a tenth of a cent a second, on any device."""
    prices = parse_prices("3.60/h", option="--sd-price")

    assert price_of(prices, "NVIDIA L4") == pytest.approx(0.001)
    assert price_of(prices, None) == pytest.approx(0.001)


def test_devices_have_their_own_prices() -> None:
    """The longest name that fits counts, and a device that none fits has no price."""
    prices = parse_prices("H100:3.6/h, h100 nvl:7.2/h,L4:0.36/h", option="sd_price")

    assert price_of(prices, "NVIDIA H100 80GB HBM3") == pytest.approx(0.001)
    assert price_of(prices, "NVIDIA H100 NVL") == pytest.approx(0.002)
    assert price_of(prices, "NVIDIA A10") is None
    assert price_of(prices, None) is None


def test_a_name_is_no_part_of_a_word() -> None:
    """Else an L40 would cost what an L4 does, without a word."""
    prices = parse_prices("L4:0.36/h,A10:0.72/h,A100:3.6/h", option="--sd-price")

    assert price_of(prices, "NVIDIA L4") == pytest.approx(0.0001)
    assert price_of(prices, "NVIDIA L40S") is None
    assert price_of(prices, "NVIDIA A100-SXM4-80GB") == pytest.approx(0.001)
    assert price_of(prices, "NVIDIA A10G") is None


@pytest.mark.parametrize(
    "text",
    [
        "1e300/h",
        "1e308/h",
        "1e-300/h",
        "H100:2/h,L4:1e300/h",
        "",
        "2.49",
        "/h",
        "0/h",
        "-1/h",
        "2.49/d",
        "$2.49/h",
        "nan/h",
        "1/h,2/h",
        "L4:1/h,l4:2/h",
        "L4:1/h,",
    ],
)
def test_what_is_no_price_is_refused(text: str) -> None:
    """Whether a price is by hour or by month is worth two letters."""
    with pytest.raises(OptionError) as caught:
        parse_prices(text, option="--sd-price")

    assert "--sd-price" in caught.value.what
    assert caught.value.fix
