"""``sdbatch study`` from a folder of images to its answer, with an interruption on the way.

Its commands stand in docs/explanation/training.md and README.md, and those that make pages of it in
docs/how-to/reports.md.
"""

from __future__ import annotations

import json
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image

from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Part, Study
from pytest_sdbatch.cli import main
from pytest_sdbatch.commands import study as command
from pytest_sdbatch.report.table import PHASES
from pytest_sdbatch.storage.study_file import read_study
from pytest_sdbatch.training import quality, rates, study_plan, task
from pytest_sdbatch.training import study as runner

WORDS = [
    "study",
    "--data=images",
    "--resolution=8",
    "--batch-sizes=2,4",
    "--seeds=1",
    "--most-examples=16",
    "--tune",
    "--json",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """What two calls of the command left: one that was interrupted, and one that went on."""

    folder: Path
    interrupted: str
    left: tuple[str, ...]
    told: str
    printed: str
    study: Study


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    """Learn from 24 images of two classes, rates searched first; interrupted when a run of the table has ended."""
    folder = tmp_path_factory.mktemp("study")
    for index in range(24):
        image = Image.new("L", (8, 8), 20 + index)
        image.paste(230, (4 * (index % 2), 0, 4 * (index % 2) + 4, 8))
        (folder / "images" / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
        image.save(folder / "images" / "ab"[index % 2] / f"{index}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(rates, "_MOST_TRIES", 3)
        patch.setattr(rates, "_MOST_ABOVE", 0)
        patch.setattr(quality, "IMAGES", 20)
        patch.setattr(task, "_LEAST_TRIPLES", 40)
        before, printed, told = StringIO(), StringIO(), StringIO()

        def interrupt(text: str) -> None:
            print(text, file=before)
            if "table-all-b2" in text:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as inner, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            inner.setattr(command, "_tell", interrupt)
            with pytest.raises(SystemExit) as caught:
                main([*WORDS, "-o", "study.json"])
        assert caught.value.code == 130
        left = tuple(sorted(path.name for path in (folder / ".sdbatch").glob("*/*")))
        with redirect_stdout(printed), redirect_stderr(told):
            assert main([*WORDS, "-o", "study.json", "--resume"]) in (0, 12)
    return Studied(
        folder=folder,
        interrupted=before.getvalue(),
        left=left,
        told=told.getvalue(),
        printed=printed.getvalue(),
        study=read_study(folder / "study.json"),
    )


@pytest.mark.slow
def test_what_had_ended_is_kept_and_not_made_again(studied: Studied) -> None:
    """A message says how to go on; the second call says how much it found."""
    assert "--resume goes on" in studied.interrupted
    kept = [name for name in studied.left if name.startswith("run-")]
    assert any(name.startswith("run-table-all-b2") for name in kept)
    assert f"{len(kept)} runs had ended" in studied.told
    assert [path.name for path in (studied.folder / ".sdbatch").iterdir()] == [".gitignore"], (
        "nothing is left of a study that has ended"
    )


@pytest.mark.slow
def test_the_study_has_every_part(studied: Studied) -> None:
    """A target from a first run, rates, both sizes, a ramp, short epochs, parts of the data, and noise."""
    study = studied.study
    assert study.sizes == (2, 4)
    assert [len(study.of(part)) for part in (Part.TABLE, Part.RAMP, Part.COUNT)] == [2, 1, 1]
    assert {reading.data for reading in study.noise} >= {"all", "small", "one-class"}
    assert study.split is not None
    assert (study.data.train_images, study.data.held_out_images, study.data.classes) == (20, 4, 2)
    assert study.facts["threads"] == 1
    assert study.command.startswith("sdbatch study --data=images")
    assert study.tuned_here
    assert [rate.batch_size for rate in study.rates] == [2, 4]
    assert all(len(rate.tried) >= 3 for rate in study.rates)
    assert {run.data for run in study.of(Part.SUBSET, data="rare")} == {"rare"}
    assert all(run.evaluations[-1].rare_loss is not None for run in study.of(Part.SUBSET, data="rare"))
    assert study.of(Part.SUBSET, data="one-class")


@pytest.mark.slow
def test_the_answer_is_printed_for_machines(studied: Studied) -> None:
    """One JSON document on stdout, all else on stderr."""
    data = json.loads(studied.printed)

    assert data["measured_on"].startswith("images: 20 images of 8x8")
    assert len(data["claims"]) == 18
    assert {run["outcome"] for run in data["runs"]} <= set(End)


@pytest.mark.slow
def test_what_was_kept_is_shown_again(studied: Studied, capsys: pytest.CaptureFixture[str]) -> None:
    """Without measuring anything, with the command that its advice belongs to."""
    assert main(["study", "--show", str(studied.folder / "study.json")]) in (0, 12)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("images: 20 images to train on, 4 held out")
    assert "added to: sdbatch study --data=images --resolution=8 --batch-sizes=2,4" in shown


@pytest.mark.slow
def test_its_file_becomes_a_page_with_memory_by_phase(studied: Studied, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each size took of the device is in the file, and a report is made of the file alone."""
    monkeypatch.chdir(studied.folder)
    monkeypatch.setattr("sys.stdout", StringIO())

    assert [memory.batch_size for memory in studied.study.memory] == [2, 4]
    assert all(memory.reason or list(memory.phase_bytes) == list(PHASES) for memory in studied.study.memory)
    assert main(["report", "study.json", "-o", "study.html", "-o", "study.md", "-o", "study.csv"]) == 0
    page = (studied.folder / "study.html").read_text()
    assert re.findall(r"<section id=([a-z]+) ", page)[:3] == ["answer", "sizes", "loss"]
    assert "Learning rates" in page  # that were searched
    assert (studied.folder / "study.csv").read_text().count("\n") == 1 + sum(
        len(run.evaluations) for run in studied.study.runs
    )


@pytest.mark.slow
def test_a_batch_larger_than_the_data_is_refused(studied: Studied, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is trained, with sizes that can be."""
    status = main(["study", f"--data={studied.folder / 'images'}", "--batch-sizes=4,64"])

    assert status == 2
    assert "a batch of 64 from 20 images" in capsys.readouterr().err


@pytest.mark.slow
def test_without_a_word_digits_are_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of README.md as it stands; to a loss that is soon reached, once each, and judged by few images."""
    pytest.importorskip("sklearn", reason="the digits come with the extra training")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "SEEDS", "1")
    monkeypatch.setattr(study_plan, "DIGITS_TARGET", 0.6)
    monkeypatch.setattr(runner, "EPOCHS", 2)
    monkeypatch.setattr(quality, "IMAGES", 20)

    assert main(["study"]) == 0

    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("digits: 1,438 images to train on, 359 held out")
    assert "Recommended: " in shown
    assert "added to: sdbatch study" in shown
