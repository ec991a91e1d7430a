"""The command: what is refused before anything is loaded, and what is shown of a file."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from studies import made_study

from pytest_sdbatch.cli import main
from pytest_sdbatch.storage.study_file import write_study


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--batch-sizes=64"], "one size"),
        (["--batch-sizes=0,4"], "'0' is no number or range"),
        (["--seeds=0"], "--seeds=0: less than 1"),
        (["--threads=two"], "--threads=two"),
        (["--target=0"], "--target=0"),
        (["--rate=-1"], "--rate=-1"),
        (["--most-examples=many"], "--most-examples=many"),
        (["--rates=cosine"], "--rates=cosine: unknown value"),
        (["--rates=sqrt", "--tune"], "--tune with --rates"),
        (["--rates=tuned", "--data=x"], "--rates=tuned with --data"),
        (["--resolution=8"], "--resolution without --data"),
        (["-o", "study.txt"], "only .json"),
        (["--device=mps"], "unknown device 'mps'"),
        (["--show=nowhere.json"], "nowhere.json does not exist"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_loaded(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One clear error, exit status 2, and no torch."""
    monkeypatch.chdir(tmp_path)
    loaded = "torch" in sys.modules

    assert main(["study", *words]) == 2
    assert said in capsys.readouterr().err
    assert ("torch" in sys.modules) is loaded
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_shown_as_it_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On screen and for machines, without measuring anything."""
    write_study(tmp_path / "study.json", made_study())

    assert main(["study", f"--show={tmp_path / 'study.json'}"]) == 0
    assert "Recommended: train digits at batch size 64" in " ".join(capsys.readouterr().out.split())
    assert main(["study", f"--show={tmp_path / 'study.json'}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["exit_status"] == 0


def test_a_target_that_nothing_reached_is_an_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """12: a script can tell."""
    study = made_study()
    runs = tuple(dataclasses.replace(run, end=type(run.end).NOT_REACHED) for run in study.runs)
    write_study(tmp_path / "study.json", dataclasses.replace(study, target=0.01, runs=runs))

    assert main(["study", f"--show={tmp_path / 'study.json'}"]) == 12
    assert "Recommended: none" in capsys.readouterr().out


def test_errors_are_told_to_machines_too(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json they are JSON."""
    assert main(["study", "--json", "--batch-sizes=64"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_status"] == 2
