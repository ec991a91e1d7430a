"""The table of variants that do not go together."""

from __future__ import annotations

import itertools

import pytest

from pytest_sdbatch.pipelines.variants import VARIANTS
from pytest_sdbatch.pipelines.variants.conflicts import CONFLICTS, reason

PAIRS = [
    ("model-offload", "sequential-offload", "moved in one way"),
    ("model-offload", "group-offload", "moved in one way"),
    ("sequential-offload", "group-offload", "moved in one way"),
    ("compile", "compile:max-autotune", "compiled in one way"),
    ("compile", "compile-regional", "compiled in one way"),
    ("compile:max-autotune", "compile-regional", "compiled in one way"),
    ("attn:native", "attn:flex", "one back end"),
    ("attention-slicing", "attn:native", "the last would win"),
    ("attention-slicing", "fuse-qkv", "the last would win"),
    ("layerwise-fp8", "nf4", "one format"),
    ("layerwise-fp8", "int8", "one format"),
    ("nf4", "int8", "one format"),
    ("sequential-offload", "compile", "a compiled graph cannot hold"),
    ("sequential-offload", "compile:max-autotune", "a compiled graph cannot hold"),
    ("sequential-offload", "compile-regional", "a compiled graph cannot hold"),
    ("sequential-offload", "layerwise-fp8", "plain tensors"),
    ("sequential-offload", "nf4", "plain tensors"),
    ("sequential-offload", "int8", "plain tensors"),
    ("group-offload", "nf4", "scales"),
    ("cache:first-block", "compile", "depends on values"),
    ("cache:first-block", "compile:max-autotune", "depends on values"),
    ("cache:first-block", "compile-regional", "depends on values"),
]


@pytest.mark.parametrize(("one", "other", "why"), PAIRS)
def test_a_pair_is_kept_apart_whichever_comes_first(one: str, other: str, why: str) -> None:
    """The reason is the same both ways round."""
    assert why in (reason(one, other) or "")
    assert reason(other, one) == reason(one, other)


def test_all_other_pairs_go_together() -> None:
    """The list above is the whole table."""
    names = [name for name in VARIANTS if name not in ("eager", "attn:BACKEND")] + ["attn:native", "attn:flex"]
    listed = {frozenset(pair[:2]) for pair in PAIRS} | {frozenset({"attention-slicing", "attn:flex"})}

    apart = {frozenset(pair) for pair in itertools.combinations(names, 2) if reason(*pair)}

    assert apart == listed


def test_the_table_names_variants_that_exist() -> None:
    """A renamed variant does not slip out of its conflicts."""
    named = frozenset().union(*(conflict.one | conflict.other for conflict in CONFLICTS))

    assert named - VARIANTS.keys() == {"attn:"}
