"""Answers of tables that nobody would design: whatever ran or did not, only what ran soundly is recommended."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_sdbatch.analysis.splits import Objective
from pytest_sdbatch.records import Environment, Outcome, Reading, Record, Run
from pytest_sdbatch.report.answer import answer_of_runs, answer_sentences, plan_table
from pytest_sdbatch.report.splits import Question
from pytest_sdbatch.report.terminal import render_table
from pytest_sdbatch.report.tiny import is_tiny

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GIB = 2**30
SIZES = (1, 2, 3, 4, 6, 8, 16, 32)
WORDS = re.compile(r"(?:fastest is|least \S+ has|no smaller size is within [^:]*:) batch size (\d+)|; batch size (\d+)")


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[dict[str, Any], int, int, dict[str, Any]]]:
    """Draw (changes of the group, size, count, fields of the record), each split of a group at most once."""
    found = []
    times = st.one_of(st.just(1.0), st.floats(1e-6, 1e4))
    for model in draw(st.lists(st.sampled_from(["sd15", "tiny-sd", None]), min_size=1, max_size=2, unique=True)):
        for variant in draw(st.sampled_from([("eager",), ("compile",), ("eager", "vae-slicing")])):
            pairs = st.tuples(st.sampled_from(SIZES), st.integers(1, 4))
            for size, count in draw(st.lists(pairs, min_size=1, max_size=6, unique=True)):
                outcome = draw(st.sampled_from([Outcome.OK] * 6 + list(Outcome)))
                seconds = draw(st.lists(times, min_size=1, max_size=8))
                fields = {
                    "outcome": outcome,
                    "seconds": seconds if outcome not in (Outcome.SKIPPED, Outcome.CRASHED) else [],
                    "peak": draw(st.one_of(st.none(), st.integers(0, 2**40))),
                    "limit": draw(st.one_of(st.none(), st.integers(1, 2**41))),
                    "cold": draw(st.one_of(st.none(), st.floats(1e-6, 1e4))),
                    "checked": draw(st.sampled_from(["checked", "checked", "not returned"])),
                    "joules": draw(st.one_of(st.none(), st.floats(0, 1e6))),
                }
                found.append(({"model": model, "variant": variant}, size, count, fields))
    return found


def record(maker: Maker, size: int, count: int, fields: dict[str, Any]) -> Record:
    """Return the record that was drawn."""
    rounds = tuple(
        replace(one, energy_joules=fields["joules"])
        for one in maker.rounds(fields["seconds"], count, peak_bytes=fields["peak"])
    )
    return maker.record(
        size,
        count,
        rounds=rounds,
        outcome=fields["outcome"],
        reason=None if fields["outcome"] is Outcome.OK else "why",
        cold_start_s=Reading(value=fields["cold"]),
        load_s=Reading(value=1.0),
        output_check=fields["checked"],
        memory_round=maker.memory_round(limit_bytes=fields["limit"]),
    )


def named(sentence: str) -> set[int]:
    """Return the batch sizes that *sentence* names as fastest, least, or close enough."""
    return {int(size) for match in WORDS.findall(sentence) for size in match if size}


@given(
    table=tables(),
    images=st.one_of(st.none(), st.integers(1, 40)),
    objective=st.sampled_from(list(Objective)),
    price_per_s=st.sampled_from([None, 0.001]),
    cold=st.booleans(),
    within=st.sampled_from([0.0, 0.05, 0.5]),
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_what_ran_soundly_is_recommended(
    table: list[tuple[dict[str, Any], int, int, dict[str, Any]]],
    images: int | None,
    objective: Objective,
    price_per_s: float | None,
    cold: bool,
    within: float,
    sd15: Maker,
) -> None:
    """Sizes that are named ended well and were looked at; the text can be printed."""
    records = [record(sd15.group(**group), size, count, fields) for group, size, count, fields in table]
    question = Question(images=images, objective=objective, price_per_s=price_per_s, cold=cold, within=within)

    sentences = answer_sentences(records, question)
    shown = plan_table(records, question, width=80, color=False)
    render_table(records, width=80, color=False)

    sound = {
        (one.case.group_id, one.case.batch_size)
        for one in records
        if one.outcome is Outcome.OK and one.output_check == "checked" and not is_tiny(one.case.model)
    }
    for sentence in sentences:
        assert sentence.isprintable()
        for size in named(sentence):
            assert any(group in sentence and size == known for group, known in sound), sentence
    for line in shown.splitlines():
        if line.endswith("recommended"):
            assert int(re.split("[x+]", line.split()[0])[0]) in {size for _, size in sound}, shown


@given(table=tables(), runs=st.integers(2, 3))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_several_processes_answer_whatever_ended_where(
    table: list[tuple[dict[str, Any], int, int, dict[str, Any]]], runs: int, sd15: Maker
) -> None:
    """Also where a case is missing in one of them: it was interrupted."""
    records = [record(sd15.group(**group), size, count, fields) for group, size, count, fields in table]
    nowhere = Environment(must_match={}, drift={}, shown={})
    made = [
        Run(id=str(number), started_at="", environment=nowhere, options={}, records=tuple(records[number:]))
        for number in range(runs)
    ]

    assert all(sentence.isprintable() for sentence in answer_of_runs(made))


@pytest.mark.parametrize("outcome", [Outcome.OOM, Outcome.TIMEOUT])
def test_where_nothing_ended_well_there_is_no_answer(outcome: Outcome, sd15: Maker) -> None:
    """Out of memory at the first size."""
    records = [sd15.ended(1, outcome, "why"), sd15.ended(2, Outcome.SKIPPED, "because of 1")]

    assert answer_sentences(records) == []
    assert plan_table(records, Question(images=2), width=80, color=False) == ""


def test_where_no_size_keeps_the_limits_it_is_said(sd15: Maker) -> None:
    """A row that is over a limit shows no figures, so that the table alone answers nothing, of tiny models either."""
    for maker in (sd15, sd15.group(model="tiny-sd")):
        over = maker.record(1, outcome=Outcome.OVER_LIMIT, reason="1.00 s per call, at most 400 ms")
        records = [over, maker.ended(2, Outcome.SKIPPED, "because of 1")]

        (sentence,) = answer_sentences(records)
        (of_split,) = answer_sentences(records, Question(images=10))

        why = "keeps the limits (batch size 1: 1.00 s per call, at most 400 ms)"
        assert sentence.endswith(f"-s20: no answer, because no size that was measured {why}")
        assert of_split.endswith(f"-s20: 10 images: no split that was measured {why}")
