"""A study as people and machines read it."""

from __future__ import annotations

import dataclasses
import json

import pytest
from studies import made_study

from pytest_sdbatch.analysis.claims import Key
from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import TunedRate
from pytest_sdbatch.records import Reading
from pytest_sdbatch.report.page.learning import seconds_label
from pytest_sdbatch.report.study import render_study
from pytest_sdbatch.report.study_data import study_data
from pytest_sdbatch.report.study_markdown import study_markdown


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_screen_shows_the_table_the_laws_the_claims_and_one_advice(width: int) -> None:
    """In this order, within the width of the screen."""
    text = render_study(made_study(), width=width, color=False)
    flat = " ".join(text.split())

    places = [
        flat.index(words)
        for words in ("1,438 images", "batch size", "critical batch size", "Understanding batch size", "Recommended:")
    ]
    assert places == sorted(places)
    assert max(map(len, text.splitlines())) <= max(width, 87), "the columns that are never dropped take 87"
    assert flat.count("what would settle it") == 18
    assert "holds for another model. Options that are advised here are added to: sdbatch study (" in flat


def test_memory_and_energy_are_columns_where_they_were_read() -> None:
    """With what they mean, or why they are not known; a study of before has neither."""
    shown = " ".join(render_study(made_study(metered=True), width=200, color=False).split())
    rows = study_data(made_study(metered=True))["sizes"]
    none = study_markdown(made_study())

    assert "peak memory: live tensors in torch's allocator, in one more step that is not timed" in shown
    assert "152 MiB" in shown  # 120 + 2 x 16
    assert "20.0 mJ" in shown
    assert rows[2]["peak_bytes_by_phase"]["forward"] == 356 * 2**20
    assert rows[2]["joules_per_example"] == pytest.approx(0.02)
    assert "peak" not in none
    assert "energy" not in none


def test_where_the_rates_come_from_stands_beside_the_table() -> None:
    """An untuned rate makes large batches look bad."""
    assert "learning rates tuned elsewhere: recorded for digits" in " ".join(
        render_study(made_study(), width=80, color=False).split()
    )


def test_what_was_learned_from_and_judged_by_stands_beside_the_table() -> None:
    """Grey or in colour, and how many generated images an accuracy is a share of."""
    text = " ".join(render_study(made_study(), width=100, color=False).split())

    assert "8x8, grey, 10 classes" in text
    assert "validation accuracy: of 300 generated images of each network" in text


def test_what_went_wrong_is_told_by_run() -> None:
    """Diverged: step and rate; not reached: the best; no optimum: that the best rate lay at the end."""
    rate = TunedRate(batch_size=16, rate=1e-3, interior=False, tried=((1e-3, 100.0),), largest_stable=None)
    study = made_study(rates=(rate,))
    first, second, *rest = study.runs
    runs = (
        dataclasses.replace(first, end=End.DIVERGED, reason="the loss was no finite number at step 9"),
        dataclasses.replace(second, end=End.NOT_REACHED, reason="the lowest held-out loss was 0.3"),
        *rest,
    )
    text = " ".join(render_study(dataclasses.replace(study, runs=runs), width=100, color=False).split())

    assert "batch size 16, seed 0: diverged: the loss was no finite number at step 9" in text
    assert "batch size 16, seed 1: not-reached: the lowest held-out loss was 0.3" in text
    assert "2 of 3" in text or "1 of 3" in text
    assert "batch size 16: the best rate lies at the end of those tried" in text


def test_a_target_that_nothing_reached_has_no_numbers_in_the_table() -> None:
    """The word stands there instead."""
    text = render_study(dataclasses.replace(made_study(), target=0.01), width=120, color=False)

    assert "not-reached" in text
    assert "0 of 3" in text
    assert "Recommended: none" in text


def test_a_machine_that_was_shared_is_told() -> None:
    """Steps that waited for a core have a longer wall time; without, nothing is said."""
    study = made_study()
    waited = tuple(
        dataclasses.replace(
            run, evaluations=tuple(dataclasses.replace(e, wall_s=2 * e.seconds) for e in run.evaluations)
        )
        for run in study.runs
    )

    assert "something else used" not in render_study(study, width=200, color=False)
    assert "something else used" in render_study(dataclasses.replace(study, runs=waited), width=200, color=False)


@pytest.mark.parametrize(
    ("facts", "clock", "axis"),
    [
        ({"device_kind": "cpu", "threads": 1}, "CPU time", "CPU seconds"),
        ({"device_kind": "cpu", "threads": 1, "clock": "cpu"}, "CPU time", "CPU seconds"),
        ({"device_kind": "cpu", "threads": 8, "clock": "wall"}, "wall time", "seconds"),
        ({"device_kind": "cuda"}, "wall time", "seconds"),
    ],
)
def test_seconds_are_named_by_their_clock(facts: dict[str, str | int | float | None], clock: str, axis: str) -> None:
    """As the study names it; one that was kept before it did had CPU time on a CPU."""
    study = made_study(facts=facts)
    slow = tuple(
        dataclasses.replace(
            run, evaluations=tuple(dataclasses.replace(e, wall_s=2 * e.seconds) for e in run.evaluations)
        )
        for run in study.runs
    )
    text = render_study(dataclasses.replace(study, runs=slow), width=200, color=False)

    assert f"seconds: {clock} of the steps" in text
    assert ("something else used" in text) is (clock == "CPU time"), "of wall time nobody knows"
    assert seconds_label(study) == axis


def test_machines_read_the_same() -> None:
    """Finite JSON, unknown as null with its reason."""
    study = made_study()
    runs = tuple(
        dataclasses.replace(run, quality=None)
        if run.quality is None
        else dataclasses.replace(run, quality=dataclasses.replace(run.quality, accuracy=Reading(reason="one class")))
        for run in study.runs
    )
    data = json.loads(json.dumps(study_data(dataclasses.replace(study, runs=runs)), allow_nan=False))

    assert (data["schema"], data["clock"]) == (1, "cpu")
    assert [row["batch_size"] for row in data["sizes"]] == [16, 64, 256]
    assert (data["sizes"][0]["accuracy"], data["sizes"][0]["accuracy_reason"]) == (None, "one class")
    assert [claim["key"] for claim in data["claims"]] == list(Key)
    assert {claim["standing"] for claim in data["claims"]} <= {"supported", "not supported", "cannot tell"}
    assert data["law"]["critical_batch"]["estimate"] == pytest.approx(82, rel=0.03)
    assert len(data["runs"]) == 15


def test_markdown_is_harmless_whatever_the_folder_is_called() -> None:
    """Text from outside is escaped, and every row has as many cells as its head."""
    study = made_study()
    named = dataclasses.replace(study, data=dataclasses.replace(study.data, name="<b>|x`"))
    text = study_markdown(named)

    assert "<b>" not in text
    assert r"&lt;b&gt;\|x\`" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for row in rows:
        assert row.endswith("|")
        assert row.replace(r"\|", "").count("|") in (5, 12)


def test_a_screen_without_the_signs_gets_stand_ins() -> None:
    """Nothing that a terminal cannot show is written."""
    render_study(made_study(), width=80, color=False, encoding="ascii").encode("ascii")
