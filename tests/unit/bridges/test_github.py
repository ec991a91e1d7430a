"""GitHub Actions: lines that a runner obeys, and a file that it shows."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compared import measured, quiet_side, side
from hostile import names
from hypothesis import given
from hypothesis import strategies as st
from readers import runner

from pytest_sdbatch.analysis.comparison import Comparison, compare
from pytest_sdbatch.bridges import github
from pytest_sdbatch.bridges.github import Annotation, Known, Level
from pytest_sdbatch.errors import BaselineError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Outcome, Record
from pytest_sdbatch.report.bounded import SUMMARY_BYTES

CASE = Case(model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=1, batch_count=1)


@pytest.fixture
def regressed() -> Comparison:
    """Return a comparison: b1 regressed, b2 improved, b4 unchanged, b8 missing."""
    base = quiet_side("base", 5, {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0})
    return compare(base, quiet_side("new", 1, {1: 1.2, 2: 0.8, 4: 1.0}))


@given(st.sampled_from(Level), names, names, st.none() | names, st.none() | st.integers(1, 9))
def test_a_runner_reads_one_command_and_all_its_text(
    level: Level, title: str, message: str, file: str | None, line: int | None
) -> None:
    """Whatever title, file and message hold, the line is this command and no other; nothing of it is lost or added."""
    found = github.command(Annotation(level=level, title=title, message=message, file=file, line=line))

    read = runner(found)
    assert found.isprintable()
    assert read is not None
    name, properties, data = read
    assert name == level
    assert properties.keys() <= {"file", "line", "title"}
    assert properties.get("line") == (None if line is None else str(line))
    assert len(data.splitlines()) <= message.count("\n") + 1
    assert all(shown.isprintable() for shown in (*data.splitlines(), *properties["title"].splitlines()))


def test_what_regressed_is_an_error_at_its_file_and_what_is_missing_a_warning(
    regressed: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is faster or the same is only counted. The message has the numbers."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    root = tmp_path / "project"
    (root / "benchmarks").mkdir(parents=True)
    (root / "benchmarks" / "test_x.py").touch()
    (slow, *_) = (case.name for case in regressed.cases)

    first, second = github.of_comparison(regressed, known=Known(root=root, lines={slow: 7}))

    assert (first.level, first.title) == (Level.ERROR, "sdbatch: regressed")
    assert (first.file, first.line, first.case) == ("project/benchmarks/test_x.py", 7, slow)
    assert first.message.startswith(f"{slow}\n")
    assert "\ntime: 1.00 s -> 1.20 s per call, +20 %, 95 % interval " in first.message
    assert (second.level, second.title, second.line) == (Level.WARNING, "sdbatch: missing", None)


def test_where_nothing_fails_nothing_is_an_error(regressed: Comparison) -> None:
    """A comparison that is only shown warns, and names no file that is not in the checkout."""
    found = github.of_comparison(regressed, red=False)

    assert {one.level for one in found} == {Level.WARNING}
    assert {one.file for one in found} == {None}


def test_an_inconclusive_case_is_annotated_only_where_it_fails_the_job() -> None:
    """Else the roll-up counts it: one slow machine would fill the page."""
    unclear = compare(side("b", [measured()]), side("n", [measured()]))

    assert github.of_comparison(unclear) == []
    (one,) = github.of_comparison(unclear, inconclusive=True)
    assert (one.level, one.title) == (Level.ERROR, "sdbatch: inconclusive")


def test_failed_cases_are_errors_and_doubtful_ones_warnings() -> None:
    """With the reason; of a case that was annotated before nothing is said again, and out of memory is a result."""
    usual: dict[str, Any] = {"case": CASE, "test_outcome": "failed"}
    black = Record(test="t.py::black", outcome=Outcome.INVALID_OUTPUT, reason="image 0 is black", **usual)
    warm = Record(test="t.py::warm", outcome=Outcome.THROTTLED, reason="heat", case=CASE)
    own = Record(test="t.py::own", outcome=Outcome.OK, **usual)
    full = Record(test="t.py::full", outcome=Outcome.OOM, reason="x", case=CASE, test_outcome="skipped")
    again = replace(own, test="t.py::again")

    found = github.of_records([black, warm, own, full, again], besides=[f"t.py::again[{CASE.id}]"])

    assert [(one.level, one.title, one.message.partition("\n")[2]) for one in found] == [
        (Level.ERROR, "sdbatch: invalid-output", "image 0 is black"),
        (Level.WARNING, "sdbatch: throttled", "heat"),
        (Level.ERROR, "sdbatch: test failed", "it failed after measuring"),
    ]


@given(st.lists(st.sampled_from(Level), max_size=25))
def test_never_more_than_ten_lines_and_the_first_says_how_it_is_in_all(levels: list[Level]) -> None:
    """GitHub drops the eleventh of a level without a word; errors come before warnings, and the rest is counted."""
    made = github.with_roll_up([Annotation(level=one, title="t", message="m") for one in levels], said="25 cases")

    assert len(made) == min(len(levels), 9) + 1
    assert made[0].level == min(levels, key=list(Level).index, default=Level.NOTICE)
    more = f"; {len(levels) - 9} more to look at, in the summary of the job" if len(levels) > 9 else ""
    assert made[0].message == f"25 cases{more}"
    assert [one.level for one in made[1:]] == sorted(levels, key=list(Level).index)[:9]


def test_a_summary_comes_behind_what_the_step_wrote_before(
    regressed: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Markdown is added, what is there stays, and both keep below the limit together."""
    target = tmp_path / "summary.md"
    target.write_text("earlier\n" + "x" * (SUMMARY_BYTES - 5_000), encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))

    for _ in range(2):  # the second finds no room
        github.tell(regressed, lines=["runs and outputs: here"], to=io.StringIO())

    text = target.read_text(encoding="utf-8")
    assert text.startswith("earlier\n")
    assert text.count("## sdbatch") == 1
    assert "\\- runs" not in text
    assert "- runs and outputs: here" in text
    assert target.stat().st_size <= SUMMARY_BYTES


def test_without_a_job_nothing_is_written_or_printed(regressed: Comparison) -> None:
    """On a desk there is neither file nor reader."""
    out = io.StringIO()

    github.tell(regressed, to=out)

    assert out.getvalue() == ""
    assert github.room() == 0


def test_a_summary_that_cannot_be_written_is_said_and_fails_nothing(
    regressed: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdicts are on the screen already."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "missing" / "summary.md"))

    github.tell(regressed, to=io.StringIO())

    assert "sdbatch: the summary of the job cannot be written" in capsys.readouterr().err


def test_in_a_job_verdicts_and_refusals_are_annotations(
    regressed: Comparison, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a stream of the step; a screen that lacks a character shows another."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    github.tell(replace(regressed, cases=tuple(replace(c, name=f"{c.name}猫") for c in regressed.cases)), to=out)
    github.tell_refusal(BaselineError("no such base", why="it is not there", fix="git fetch"))

    out.seek(0)
    read = [runner(line) for line in out.read().splitlines()]
    assert [found[0] for found in read if found] == ["error", "error", "warning"]
    refused = runner(capsys.readouterr().err)
    assert refused == ("error", {"title": "sdbatch"}, "no such base\nwhy: it is not there\ndo: git fetch\n")
