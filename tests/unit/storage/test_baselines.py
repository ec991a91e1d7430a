"""Runs that are stored for later comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Outcome, Record, Run
from pytest_sdbatch.storage.baselines import save_baseline
from pytest_sdbatch.storage.run_file import read_run_file

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]


def test_sound_runs_are_stored_together(tmp_path: Path, make_run: MakeRun) -> None:
    """In one file, whose folder is made."""
    path = tmp_path / "main" / "cpu.json"
    runs = [make_run(id="a"), make_run(id="b")]

    assert save_baseline(path, runs, anyway=False) == f"baseline: {path}"
    assert list(read_run_file(path)) == runs


def test_a_bad_run_is_stored_only_when_forced(tmp_path: Path, make_record: MakeRecord, make_run: MakeRun) -> None:
    """The reason names run and case, and the line says what was forced."""
    path = tmp_path / "main.json"
    runs = [make_run(id="a"), make_run(make_record(0.5, outcome=Outcome.CRASHED), id="b")]
    reason = "run 2 of 2: 1 of its cases cannot be compared with later: tiny-sd-fp32-64x64-s4-b1x1 (crashed)"

    with pytest.raises(RunFileError, match="was not written") as caught:
        save_baseline(path, runs, anyway=False)
    assert caught.value.why == reason
    assert "sd_save_anyway" in caught.value.fix
    assert not path.exists()

    assert save_baseline(path, runs, anyway=True) == f"baseline: {path} (no good one: {reason})"
    assert list(read_run_file(path)) == runs


def test_runs_of_two_places_are_no_baseline(tmp_path: Path, make_run: MakeRun) -> None:
    """Nothing could be compared with both; not even when forced."""
    there = make_run(id="a")
    elsewhere = replace(there.environment, must_match={**there.environment.must_match, "threads": 4})

    with pytest.raises(RunFileError, match="was not written") as caught:
        save_baseline(tmp_path / "x.json", [there, make_run(id="b", environment=elsewhere)], anyway=True)

    assert caught.value.why.endswith("threads 2 -> 4")
