"""The table of variants."""

from __future__ import annotations

from pytest_sdbatch.pipelines.variants.entry import Variant
from pytest_sdbatch.pipelines.variants.table import VARIANTS, in_order, lookup


def test_every_variant_says_what_it_does() -> None:
    """Names are unique and every row has a description that fits a line."""
    assert all(row.name == name and 0 < len(row.what) < 90 for name, row in VARIANTS.items())


def test_a_project_cannot_replace_what_ships() -> None:
    """Ours come first; a project's own is found by its name, anything else is not."""
    mine = {name: Variant(name=name, what="mine") for name in ("eager", "mine")}

    assert lookup("eager", mine) is VARIANTS["eager"]
    assert lookup("mine", mine) is mine["mine"]
    assert lookup("yours", mine) is None


def test_an_attention_back_end_has_the_place_of_its_row() -> None:
    """All of attn: stand where the table lists them."""
    assert in_order(["compile", "int8", "attn:flex", "fuse-qkv"], {}) == ["fuse-qkv", "attn:flex", "int8", "compile"]
