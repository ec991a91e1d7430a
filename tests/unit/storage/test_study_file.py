"""A study on the disk: as it was written, or refused by name."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import made_study

from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Part, TrainingRun
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.study_file import StudyJournal, read_study, write_study
from pytest_sdbatch.training.study import NoisePart


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every figure and every unknown with its reason."""
    study = made_study()
    write_study(tmp_path / "study.json", study)

    assert read_study(tmp_path / "study.json") == study


@given(st.floats(1e-6, 10), st.floats(1e-6, 1e3), st.text(max_size=20))
@settings(max_examples=25)
def test_figures_and_words_survive(
    tmp_path_factory: pytest.TempPathFactory, loss: float, rate: float, text: str
) -> None:
    """Floats to the last digit, and what a user called the folder."""
    study = made_study()
    evaluation = dataclasses.replace(study.runs[0].evaluations[0], held_out_loss=loss)
    run = dataclasses.replace(study.runs[0], rate=rate, evaluations=(evaluation,), reason=text)
    changed = dataclasses.replace(study, runs=(run,))
    path = tmp_path_factory.mktemp("studies") / "study.json"
    write_study(path, changed)

    assert read_study(path).runs[0] == run


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    """A study takes minutes."""
    write_study(tmp_path / "study.json", made_study())

    with pytest.raises(RunFileError, match="exists"):
        write_study(tmp_path / "study.json", made_study())


def test_a_number_that_is_none_is_not_written(tmp_path: Path) -> None:
    """NaN would be read as something else, or not at all."""
    with pytest.raises(RunFileError, match="target"):
        write_study(tmp_path / "study.json", dataclasses.replace(made_study(), target=math.nan))
    assert not (tmp_path / "study.json").exists()


def _set(document: Any, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for key in parents:
        document = document[int(key) if key.isdigit() else key]
    document[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("kind", "run", "no learning study"),
        ("schema", 2, "another version"),
        ("content.target", -1, "no loss"),
        ("content.colour", 1, "content.colour: unknown key"),
        ("content.runs.0.evaluations.1.examples", 0, r"runs\[0\].evaluations: not in the order"),
        ("content.runs.0.evaluations.1.held_out_loss", -0.1, "a loss that is not above 0"),
        ("content.runs.0.evaluations.0.steps", 3, "before any step"),
        ("content.runs.0.end", "won", r"runs\[0\].end: Invalid enum"),
        ("content.runs.0.batch_size", "8", r"runs\[0\].batch_size: Expected `int`"),
        ("content.runs.0.rate", 0.0, "not above 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, path: str, value: object, words: str) -> None:
    """A damaged file is no study, and the message says where."""
    file = tmp_path / "study.json"
    write_study(file, made_study())
    document = json.loads(file.read_text(encoding="utf-8"))
    _set(document, path, value)
    file.write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(RunFileError, match=words):
        read_study(file)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (lambda run: False, "content.runs: none of a constant batch size"),
        (lambda run: run.part is not Part.TABLE, "content.runs: none of a constant batch size"),
        (lambda run: run.part is not Part.TABLE or run.batch_size != 64, r"runs\[9\]: short epochs of a batch size"),
    ],
)
def test_a_study_without_its_table_is_refused(tmp_path: Path, kept: Callable[[TrainingRun], bool], words: str) -> None:
    """All that is shown follows from it, and short epochs are held against it."""
    study = made_study()
    file = tmp_path / "study.json"
    write_study(file, dataclasses.replace(study, runs=tuple(filter(kept, study.runs))))

    with pytest.raises(RunFileError, match=words):
        read_study(file)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "sdbatch-study", "kind": "sdbatch-study"}', "NaN"])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    """A file that was cut short, or is another's."""
    (tmp_path / "study.json").write_text(text, encoding="utf-8")

    with pytest.raises(RunFileError, match=r"study\.json cannot be read"):
        read_study(tmp_path / "study.json")


def test_a_journal_gives_back_what_had_ended(tmp_path: Path) -> None:
    """Runs, what was read of gradients, and the state of the one that had not ended."""
    torch = pytest.importorskip("torch")
    study = made_study()
    run = study.runs[0]
    assert study.split is not None
    noise = NoisePart(readings=study.noise, split=study.split)
    journal = StudyJournal(tmp_path / "study")

    assert journal.begin(resume=True) == 0
    assert (journal.run(run.name), journal.noise(), journal.state(run.name)) == (None, None, None)
    journal.keep_state(run.name, {"a": torch.arange(3)}, {"steps": 4})
    tensors, numbers = journal.state(run.name) or ({}, {})
    assert (tensors["a"].tolist(), numbers) == ([0, 1, 2], {"steps": 4})
    journal.keep_run(run)
    journal.keep_noise(noise)
    assert (journal.run(run.name), journal.noise(), journal.state(run.name)) == (run, noise, None)
    assert journal.begin(resume=True) == 1
    with pytest.raises(RunFileError, match="1 run of an interrupted study") as caught:
        journal.begin(resume=False)
    assert "--resume goes on" in caught.value.fix
    assert journal.run(run.name) == run, "nothing was lost"
    journal.end()
    assert journal.begin(resume=False) == 0
    journal.end()
    assert [path.name for path in tmp_path.iterdir()] == [".gitignore"]


def test_a_run_that_was_interrupted_is_not_begun_anew_unasked(tmp_path: Path) -> None:
    """It may have taken an hour, though none has ended yet."""
    torch = pytest.importorskip("torch")
    journal = StudyJournal(tmp_path / "study")
    journal.begin(resume=False)
    journal.keep_state("x", {"a": torch.arange(3)}, {"steps": 4})

    with pytest.raises(RunFileError, match="a part of a run of an interrupted study"):
        journal.begin(resume=False)
    assert journal.begin(resume=True) == 0
    assert journal.begun
    assert journal.state("x") is not None
    journal.close()


def test_a_study_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    """A second one would remove what the first has kept."""
    pytest.importorskip("fcntl")
    first, second = StudyJournal(tmp_path / "study"), StudyJournal(tmp_path / "study")
    first.begin(resume=False)
    first.keep_run(made_study().runs[0])

    for resume in (False, True):
        with pytest.raises(RunFileError, match="another process is making this study"):
            second.begin(resume=resume)
    first.close()
    assert second.begin(resume=True) == 1
    second.end()
    first.begin(resume=False)
    first.close()
    assert not first.folder.exists(), "nothing was kept in it"


def test_who_comes_too_late_removes_nothing(tmp_path: Path) -> None:
    """Between its beginning and its first run the other's folder holds nothing but the lock."""
    pytest.importorskip("fcntl")
    first, second = StudyJournal(tmp_path / "study"), StudyJournal(tmp_path / "study")
    first.begin(resume=False)

    with pytest.raises(RunFileError, match="another process is making this study"):
        second.begin(resume=False)
    second.close()
    run = made_study().runs[0]
    first.keep_run(run)
    assert first.run(run.name) == run
    first.close()


def test_a_folder_that_leads_elsewhere_is_not_written_to(tmp_path: Path) -> None:
    """Whoever sent the project does not choose where files are removed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "noise.json").write_text("mine")
    (tmp_path / "study").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(RunFileError, match="cannot be written"):
        StudyJournal(tmp_path / "study").begin(resume=False)
    assert (tmp_path / "elsewhere" / "noise.json").read_text() == "mine"


def test_a_state_that_is_damaged_is_refused(tmp_path: Path) -> None:
    """What was cut short is told, with the way out."""
    journal = StudyJournal(tmp_path)
    (tmp_path / "state-x.safetensors").write_bytes(b"1234")

    with pytest.raises(RunFileError, match="no state of a run") as caught:
        journal.state("x")
    assert "remove it" in caught.value.fix


def test_a_diverged_run_says_where(tmp_path: Path) -> None:
    """An outcome without a reason is damage."""
    study = made_study()
    run = dataclasses.replace(study.runs[0], end=End.DIVERGED, reason="")
    write_study(tmp_path / "study.json", dataclasses.replace(study, runs=(run,)))

    with pytest.raises(RunFileError, match="says where"):
        read_study(tmp_path / "study.json")
