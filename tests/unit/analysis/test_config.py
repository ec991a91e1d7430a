"""The rules of a gate: defaults, tolerances by case, and what makes no sense."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_sdbatch.analysis.config import Config


def test_the_looks_spend_all_of_alpha() -> None:
    """No more than alpha, or the promise is void; no less, or power is given away."""
    assert math.fsum(share for _, share in Config().look_shares) == pytest.approx(1)


def test_metrics_that_are_decided_together_share_the_chance_of_a_false_alarm() -> None:
    """Of both kinds: of a regression, and of an improvement."""
    rules = Config(alpha=0.01, false_discoveries=0.04, margin=0.1)

    assert rules.shared(1) == rules
    assert rules.shared(2) == Config(alpha=0.005, false_discoveries=0.02, margin=0.1)


def test_a_tolerance_by_case_leaves_the_others_theirs() -> None:
    """A marker's budget is for its own test."""
    config = Config(tolerance={"a": 0.03})

    assert (config.tolerance_of("a"), config.tolerance_of("b")) == (0.03, 0.01)

    config = Config(memory_tolerance={"a": 0.02})

    assert (config.memory_tolerance_of("a"), config.memory_tolerance_of("b")) == (0.02, 0.005)


def test_the_margin_is_never_below_the_tolerance() -> None:
    """Unchanged must not mean less than what may be called regressed."""
    config = Config(tolerance={"a": 0.20}, margin=0.05)

    assert (config.margin_of("a"), config.margin_of("b")) == (0.20, 0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": math.nan},
        {"false_discoveries": 0.0},
        {"tolerance": -0.01},
        {"tolerance": {"a": math.inf}},
        {"memory_tolerance": -0.01},
        {"memory_tolerance": {"a": math.nan}},
        {"margin": math.nan},
        {"drift": -1.0},
        {"screen_effect": -0.1},
        {"look_shares": ()},
        {"look_shares": ((3, 1.0),)},
        {"look_shares": ((8, 0.5), (4, 0.5))},
        {"look_shares": ((4, 0.5), (8, 0.6))},
        {"look_shares": ((4, 0.0), (8, 1.0))},
        {"design": {"a": ("group", 0, 1)}},
    ],
)
def test_rules_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    """Before anything is measured."""
    with pytest.raises(ValueError, match=next(iter(wrong)).partition("_")[0]):
        Config(**wrong)
