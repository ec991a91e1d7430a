"""Verdicts as a list that was printed and read again."""

from __future__ import annotations

import pytest

from pytest_sdbatch.analysis.comparable import Moved, Weight
from pytest_sdbatch.analysis.verdict_list import ListedFact
from pytest_sdbatch.records import Fact


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("580.1", "590.1", "gpu driver 580.1 -> 590.1"),
        (None, 2, "gpu driver unknown -> 2"),
        (1.5, None, "gpu driver 1.5 -> unknown"),
    ],
)
def test_a_listed_fact_is_the_one_that_moved(before: Fact, after: Fact, said: str) -> None:
    """In the words of the comparison that found it; how many cases it was of is no part of it."""
    listed = ListedFact(key="gpu_driver", weight=Weight.DRIFT, before=before, after=after, cases=7)

    assert listed.moved == Moved(key="gpu_driver", weight=Weight.DRIFT, before=before, after=after)
    assert str(listed.moved) == said
