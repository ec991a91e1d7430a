"""Verdicts that a command printed, read back from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compared import quiet_side

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.analysis.verdict import Verdict
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.report.comparison_data import comparison_data
from pytest_sdbatch.storage.verdict_file import read_verdicts


@pytest.fixture
def data() -> dict[str, Any]:
    """Return what ``sdbatch compare --json`` prints."""
    comparison = compare(quiet_side("base", 5, {1: 1.0, 2: 1.0}), quiet_side("new", 1, {1: 1.2, 2: 1.0}))
    return comparison_data(comparison, status=10)


def test_what_was_printed_is_read(data: dict[str, Any], tmp_path: Path) -> None:
    """Also with keys that this version does not know, such as the notes of ab."""
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({**data, "notes": ["runs: here"], "later": 1}))

    found = read_verdicts(path)

    assert [case.verdict for case in found.cases] == [Verdict.REGRESSED, Verdict.UNCHANGED]
    assert found.cases[0].time is not None
    assert found.cases[0].time.interval == tuple(data["cases"][0]["time"]["interval"])
    assert found.notes == ("runs: here",)
    assert found.counts["compared"] == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "schema: 2, and this version reads 1"),
        ({"cases": "none"}, "cases: Expected `array`"),
        ({"cases": [{"name": 1}]}, "cases\\[0\\].*: Expected `str`"),
        ({"counts": {}}, "counts.compared: missing"),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, Any], tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """With the file and the key."""
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({**data, **change}))

    with pytest.raises(RunFileError, match=says) as caught:
        read_verdicts(path)
    assert str(path) in str(caught.value)


def test_a_refusal_is_no_comparison(tmp_path: Path) -> None:
    """What the command said instead is passed on."""
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"exit_status": 12, "error": "base.json does not exist"}))

    with pytest.raises(RunFileError, match=r"holds no verdicts\n  why: base\.json does not exist"):
        read_verdicts(path)
