"""What several processes tell GitHub together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from readers import runner

from pytest_sdbatch.bridges.github_run import tell_runs
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.options import Options, resolve
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run

CASE = Case(model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=1, batch_count=1)
RECORD = Record(
    test="test_x.py::test_it",
    case=CASE,
    outcome=Outcome.OK,
    rounds=tuple(Round(wall_s=1.0, cpu_s=0.0, call_s=(1.0,)) for _ in range(6)),
    output_check="checked",
)
RUN = Run(
    id="1",
    started_at="2026-11-25",
    environment=Environment(must_match={"device_name": "Card"}, drift={}, shown={}),
    options={},
    records=(RECORD,),
)


def options(**given: str) -> Options:
    """Return the options in force."""
    return resolve(command_line={}, ini={}, overrides=given)


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a job, and return the file of its summary."""
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_several_runs_have_one_summary_and_a_failure_in_one_of_them_is_an_error(
    summary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A case that failed in one process failed."""
    bad = replace(RECORD, outcome=Outcome.CRASHED, reason="it fell over", rounds=(), test_outcome="failed")
    runs = [RUN, replace(RUN, id="2", records=(bad,))]

    said = list(tell_runs(runs, options()))

    assert said == ["summary of the job: written; -o sd_github=no leaves it and annotations out"]
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("## sdbatch: 2 runs\n\n**1 case: 1 crashed**\n")
    found = [runner(line) for line in capsys.readouterr().out.splitlines()]
    assert [one[2].splitlines()[-1] for one in found if one] == ["1 case: 1 crashed", "it fell over"]


def test_it_can_be_switched_off(summary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the option, as in one process."""
    assert list(tell_runs([RUN, replace(RUN, id="2")], options(github="no"))) == []
    assert not summary.exists()
    assert capsys.readouterr().out == ""
