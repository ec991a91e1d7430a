"""The plan of a study: what is told instead of measured, and what few images allow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from pytest_sdbatch.analysis.claim_table import claim_table
from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Part, RatePolicy, Study, TrainingRun
from pytest_sdbatch.analysis.study_figures import figures_of
from pytest_sdbatch.errors import CannotRun, OptionError
from pytest_sdbatch.report.study import render_study
from pytest_sdbatch.report.study_data import study_data
from pytest_sdbatch.training import quality, rates
from pytest_sdbatch.training.datasets import LearningData, parts_of, split_data
from pytest_sdbatch.training.study import NoisePart, StudyRunner
from pytest_sdbatch.training.study_plan import StudyPlan
from pytest_sdbatch.training.task import DenoisingTask


class Forgetful:
    """A keeper that keeps nothing, as if each part were made for the first time."""

    def run(self, name: str) -> TrainingRun | None:
        """Know no run."""

    def keep_run(self, run: TrainingRun) -> None:
        """Forget it."""

    def noise(self) -> NoisePart | None:
        """Know nothing of gradients."""

    def keep_noise(self, noise: NoisePart) -> None:
        """Forget it."""

    def state(self, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """Know no state."""

    def keep_state(self, name: str, tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        """Forget it."""


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge few generated images."""
    monkeypatch.setattr(quality, "IMAGES", 12)


def plan_of(data: LearningData, **changes: Any) -> StudyPlan:
    """Return a plan of a few steps."""
    plan = StudyPlan(data=data, sizes=(2, 4), seeds=(0,), policy=RatePolicy.SQRT, reference=4e-3, most_examples=16)
    return replace(plan, **changes)


def made(plan: StudyPlan, told: list[str] | None = None) -> Study:
    """Make the study of *plan*."""
    lines: list[str] = [] if told is None else told
    return StudyRunner(plan, Forgetful(), lines.append).run(started_at="", command="", facts={})


def test_a_target_that_an_untrained_network_meets_is_refused(blobs: LearningData) -> None:
    """Before any run: whatever was said of it would be made up."""
    told: list[str] = []

    with pytest.raises(OptionError, match="--target=50 is reached before any step"):
        made(plan_of(blobs, target=50.0), told)
    assert told == []


def test_a_first_run_that_learns_nothing_gives_no_target(blobs: LearningData) -> None:
    """It would be reached before any step."""
    with pytest.raises(OptionError, match="learned next to nothing") as caught:
        made(plan_of(blobs, reference=1e-12))
    assert "--rate" in caught.value.fix


def test_a_batch_that_does_not_fit_is_one_error(blobs: LearningData, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the run, what torch said, and what to do."""

    def fails(*given: object) -> object:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(DenoisingTask, "loss", fails)

    with pytest.raises(CannotRun, match=r"table-all-b2-.*: out of memory") as caught:
        made(plan_of(blobs, target=0.1))
    assert "--batch-sizes" in caught.value.fix


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("judge", r"judging networks before any step: out of memory"),
        ("redraw", r"reading gradients of table-all-b4-.*: out of memory"),
    ],
)
def test_memory_that_runs_out_beside_the_steps_is_the_same_error(
    blobs: LearningData, monkeypatch: pytest.MonkeyPatch, method: str, said: str
) -> None:
    """Whatever is computed may be too large, before the first run and behind one that has ended."""

    def fails(*given: object, **options: object) -> object:
        raise MemoryError("no room")

    monkeypatch.setattr(DenoisingTask, method, fails)

    with pytest.raises(CannotRun, match=said) as caught:
        made(plan_of(blobs, target=0.1))
    assert "--resolution" in caught.value.fix


def test_gradients_that_cannot_be_split_leave_the_study_whole(
    blobs: LearningData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and the split is not known."""
    told: list[str] = []
    redraw = DenoisingTask.redraw

    def no_numbers(self: DenoisingTask, *given: Any, **options: Any) -> Any:
        found = redraw(self, *given, **options)
        return replace(found, noise=found.noise * float("nan"))

    monkeypatch.setattr(DenoisingTask, "redraw", no_numbers)
    study = made(plan_of(blobs, target=0.1), told)

    assert study.split is None
    assert study.noise
    assert any("no noise scale" in line for line in told)


def test_a_run_that_finds_the_target_is_a_trial_of_its_rate_too(
    blobs: LearningData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made once, and stands in the study once."""
    monkeypatch.setattr(rates, "_MOST_TRIES", 1)
    monkeypatch.setattr(rates, "_MOST_ABOVE", -1)
    told: list[str] = []
    study = made(plan_of(blobs, tune=True, reference=4e-3, most_examples=48), told)

    names = [run.name for run in study.runs]
    assert len(names) == len(set(names))
    assert names[0].startswith("tuning-all-b4-")
    made_runs = [line.partition(":")[0].split()[-1] for line in told if ", held-out loss " in line]
    assert sorted(made_runs) == sorted(names), "each is told once"
    compared = [run for run in study.runs if run.part is not Part.TUNING]
    assert told[-1].startswith(f"[{len(compared)}/{len(compared)}] "), "what finds rates and a target is not counted"


def test_a_study_whose_runs_diverge_ends_and_says_so(blobs: LearningData) -> None:
    """Each run with its step and rate; of gradients that are no numbers nothing is read, and every claim has a row."""
    told: list[str] = []
    study = made(plan_of(blobs, reference=1e9, target=0.1), told)

    assert {run.end for run in study.runs} == {End.DIVERGED}
    assert all(re.search(r"at step [\d,]+; learning rate", run.reason) for run in study.runs)
    assert study.split is None
    assert study.facts["clock"] == "cpu", "of one thread"
    figures = figures_of(study)
    assert [row.examples_per_s for row in figures.rows] == [None, None]
    assert len(claim_table(study, figures)) == 18
    text = render_study(study, width=100, color=False)
    assert "Recommended: none" in text
    json.dumps(study_data(study), allow_nan=False)


def test_few_images_of_many_classes_are_studied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are no higher than the data allow, and classes of which nothing is held out are no parts."""
    images = torch.randn((20, 1, 8, 8), generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    data = split_data("few", images, torch.arange(20), class_names=tuple(map(str, range(20))))
    study = made(plan_of(data, sizes=(8, 16), target=0.1, most_examples=8))

    (ramp,) = study.of(Part.RAMP)
    assert (ramp.batch_size, ramp.batch_count) == (8, 2), "two batches are all of the data"
    assert study.of(Part.COUNT) == (), "one batch is all of the data"
    assert {reading.data for reading in study.noise} <= {"all", *parts_of(data)}
    assert [run.quality.accuracy.reason for run in study.of(Part.TABLE) if run.quality] == [None, None]
