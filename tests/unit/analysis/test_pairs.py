"""Asking for pairs, and what came."""

from __future__ import annotations

import math

import pytest
from gate_jobs import Replay, pairs_of

from pytest_sdbatch.analysis.pairs import PairSource, differences


def test_pairs_come_as_locations_in_their_order() -> None:
    """What was asked for is passed on; ln-ratios come back."""
    replay = Replay(pairs_of({"a": [0.1, 0.2, 0.3]}))
    source = PairSource(replay)

    first, second = source.ask(None, 2), source.ask(("a",), 1)

    assert replay.asked == [(None, 2), (("a",), 1)]
    assert differences(first, "a") == pytest.approx([0.1, 0.2])
    assert differences(source.pairs, "a") == pytest.approx([0.1, 0.2, 0.3])
    assert len(second) == 1
    assert not source.interrupted


def test_a_pair_that_lacks_a_case_is_dropped_for_it() -> None:
    """And for no other."""
    pairs = PairSource(Replay(pairs_of({"a": [0.1, math.nan], "b": [0.2, 0.3]}))).ask(None, 2)

    assert differences(pairs, "a") == pytest.approx([0.1])
    assert differences(pairs, "b") == pytest.approx([0.2, 0.3])


def test_fewer_than_asked_for_is_an_interruption() -> None:
    """What came counts."""
    source = PairSource(Replay(pairs_of({"a": [0.1]})))

    assert len(source.ask(None, 2)) == 1
    assert source.interrupted


def test_more_than_asked_for_is_refused() -> None:
    """A look at other numbers of pairs would spend what it does not have."""
    source = PairSource(lambda _cases, _number: pairs_of({"a": [0.1] * 3}))

    with pytest.raises(ValueError, match="3 pairs where 2"):
        source.ask(None, 2)
