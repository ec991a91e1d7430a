"""What moved between two measurements, and what that means for comparing them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.comparable import Facts, Moved, Weight, facts_of, moved
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Weights

ENVIRONMENT = Environment(
    must_match={"device_name": "Card", "threads": 2, "parallel": 1},
    drift={"driver": "580.1", "torch": None},
    shown={"commit": "abc"},
)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3))
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), VALUES)
FACTS = st.builds(Facts, must_match=MAPPINGS, drift=MAPPINGS, shown=MAPPINGS)


def record(**fields: Any) -> Record:
    """Return a record without rounds."""
    case = Case(model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=1, batch_count=1)
    return Record(**{"test": "test_x", "case": case, "outcome": Outcome.OK, **fields})


@pytest.mark.parametrize(
    ("part", "key", "value", "weight", "text"),
    [
        ("must_match", "threads", 4, Weight.MUST_MATCH, "threads 2 -> 4"),
        ("must_match", "device_name", None, Weight.MUST_MATCH, "device name Card -> unknown"),
        ("must_match", "mig_profile", "1g.10gb", Weight.MUST_MATCH, "mig profile unknown -> 1g.10gb"),
        ("drift", "driver", "580.2", Weight.DRIFT, "driver 580.1 -> 580.2"),
        ("drift", "torch", "2.13", Weight.DRIFT, "torch unknown -> 2.13"),
        ("shown", "commit", "def", Weight.SHOWN, "commit abc -> def"),
        ("shown", "other_benchmarks", 2, Weight.SHOWN, "other benchmarks none seen -> 2"),
    ],
)
def test_a_fact_that_moved_reads_as_a_change(part: str, key: str, value: object, weight: Weight, text: str) -> None:
    """Its class says what it does, its text both values; unknown differs from known."""
    there = replace(ENVIRONMENT, **{part: {**getattr(ENVIRONMENT, part), key: value}})

    (found,) = moved(facts_of(ENVIRONMENT), facts_of(there))

    assert (found.weight, str(found)) == (weight, text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"weights": Weights(kind="random", seed=1, fill="v1")}, "weights seed 0 -> 1"),
        ({"weights": Weights(kind="random", seed=0, fill="v2")}, "weights fill v1 -> v2"),
        ({"weights": Weights(kind="trained", seed=0, fill="v1")}, "weights random -> trained"),
        ({"must_match": {"prompts": "p2"}}, "prompts p1 -> p2"),
        ({"parallel": 2}, "parallel 1 -> 2"),
    ],
)
def test_what_must_match_of_a_record_counts_beside_its_run_s(fields: dict[str, Any], text: str) -> None:
    """Weights, prompts and workers of the one record; the environment may be the same."""
    usual = {"weights": Weights(kind="random", seed=0, fill="v1"), "must_match": {"prompts": "p1"}}
    before, after = record(**usual), record(**{**usual, **fields})

    (found,) = moved(facts_of(ENVIRONMENT, before), facts_of(ENVIRONMENT, after))

    assert (found.weight, str(found)) == (Weight.MUST_MATCH, text)


def test_a_worker_s_own_device_goes_before_its_run_s() -> None:
    """Several workers of a run may have a card each: the record names its own."""
    facts = facts_of(ENVIRONMENT, record(must_match={"device_name": "Other card"}))

    assert facts.must_match["device_name"] == "Other card"


def test_where_the_weights_lay_is_only_shown() -> None:
    """A folder may be moved without another value in it."""
    there, here = (record(weights=Weights(kind="trained", source=source)) for source in ("a", "b"))

    assert [fact.weight for fact in moved(facts_of(ENVIRONMENT, there), facts_of(ENVIRONMENT, here))] == [Weight.SHOWN]


@given(FACTS, FACTS)
def test_there_and_back(then: Facts, now: Facts) -> None:
    """Nothing differs from itself, and the way back is the way there turned round; the heaviest come first."""
    there, back = moved(then, now), moved(now, then)

    assert moved(then, then) == ()
    turned = {Moved(key=f.key, weight=f.weight, before=f.after, after=f.before) for f in back}
    assert set(there) == turned
    assert [fact.weight for fact in there] == sorted((fact.weight for fact in there), key=list(Weight).index)
