"""``sdbatch study`` from a folder of images to its answer, with an interruption on the way."""

from __future__ import annotations

import json
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
from pytest_sdbatch.storage.study_file import read_study

WORDS = ["study", "--data=images", "--batch-sizes=2,4", "--seeds=1", "--most-examples=40", "--target=0.9", "--json"]


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
    """Learn from 24 images of two classes; interrupted when the second run has ended."""
    folder = tmp_path_factory.mktemp("study")
    for index in range(24):
        image = Image.new("L", (8, 8), 20 + index)
        image.paste(230, (4 * (index % 2), 0, 4 * (index % 2) + 4, 8))
        (folder / "images" / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
        image.save(folder / "images" / "ab"[index % 2] / f"{index}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before, printed, told = StringIO(), StringIO(), StringIO()

        def interrupt(text: str) -> None:
            print(text, file=before)
            if "table-all-b4" in text:
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
    assert any(name.startswith("run-table-all-b2") for name in studied.left)
    assert "2 runs had ended" in studied.told or "1 runs had ended" in studied.told
    assert list((studied.folder / ".sdbatch").iterdir()) == [], "nothing is left of a study that has ended"


@pytest.mark.slow
def test_the_study_has_every_part(studied: Studied) -> None:
    """Both sizes, a ramp, short epochs, noise of the whole and of its parts, and where it ran."""
    study = studied.study
    assert study.sizes == (2, 4)
    assert [len(study.of(part)) for part in (Part.TABLE, Part.RAMP, Part.COUNT)] == [2, 1, 1]
    assert {reading.data for reading in study.noise} >= {"all", "small", "one-class"}
    assert study.split is not None
    assert (study.data.train_images, study.data.held_out_images, study.data.classes) == (20, 4, 2)
    assert study.facts["threads"] == 1
    assert study.command.startswith("sdbatch study --data=images")
    assert "untuned: by the root of the batch size" in study.rates_from


@pytest.mark.slow
def test_the_answer_is_printed_for_machines(studied: Studied) -> None:
    """One JSON document on stdout, all else on stderr; untuned rates tell nothing of large batches."""
    data = json.loads(studied.printed)

    assert data["measured_on"].startswith("images: 20 images of 8x8")
    assert {claim["standing"] for claim in data["claims"] if "converge" in claim["claim"]} == {"cannot tell"}
    ends = {run["outcome"] for run in data["runs"]}
    assert ends <= {End.REACHED.value, End.NOT_REACHED.value}


@pytest.mark.slow
def test_a_batch_larger_than_the_data_is_refused(studied: Studied, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is trained, with sizes that can be."""
    status = main(["study", f"--data={studied.folder / 'images'}", "--batch-sizes=4,64"])

    assert status == 2
    assert "a batch of 64 from 20 images" in capsys.readouterr().err
