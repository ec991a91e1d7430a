"""Where verdicts go: the screen, a Markdown file, GitHub Actions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compared import quiet_side
from readers import runner

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.cli import main
from pytest_sdbatch.commands.outlets import Outlets, give_out, refuse
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.report.markdown import MARK
from pytest_sdbatch.storage.run_file import write_run

WHERE = Environment(must_match={"device_name": "Card"}, drift={"torch": "2.13"}, shown={"commit": "abc"})
REGRESSED, NOT_COMPARED, USAGE_ERROR = 10, 12, 2


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store five runs of a case as base.json, and one that is slower as new.json; be in a job."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    write_run(tmp_path / "base.json", [run(1 + 0.001 * number, number) for number in range(5)])
    write_run(tmp_path / "new.json", [run(1.2, 9)])


def run(call_s: float, number: int) -> Run:
    """Return a run of one case of six rounds."""
    case = Case(model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=1, batch_count=1)
    rounds = tuple(Round(wall_s=call_s, cpu_s=0.0, call_s=(call_s,)) for _ in range(6))
    record = Record(test="test_x.py::test_it", outcome=Outcome.OK, case=case, rounds=rounds)
    return Run(id=str(number), started_at="2026-11-25", environment=WHERE, options={}, records=(record,))


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Return what a runner reads."""
    return [found for line in text.splitlines() if (found := runner(line)) is not None]


def test_a_job_gets_a_summary_and_annotations_and_a_comment_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One writer: the comment is the summary."""
    status = main(["compare", "base.json", "--candidate", "new.json", "--report", "comment.md"])

    out = capsys.readouterr().out
    roll_up, regressed = commands(out)
    assert status == REGRESSED
    assert roll_up == ("error", {"title": "sdbatch"}, roll_up[2])
    assert regressed[:2] == ("error", {"title": "sdbatch: regressed"})
    assert out.endswith("sdbatch: report: comment.md\n")
    comment = (tmp_path / "comment.md").read_text(encoding="utf-8")
    assert comment.startswith(MARK)
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == comment


def test_who_reads_json_gets_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Annotations go to the other stream, which a runner reads as well."""
    main(["compare", "base.json", "--candidate", "new.json", "--json"])

    said = capsys.readouterr()
    assert json.loads(said.out)["counts"]["regressed"] == 1
    assert len(commands(said.err)) == 2


def test_it_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By --no-github: neither file nor line."""
    main(["compare", "base.json", "--candidate", "new.json", "--no-github"])

    assert commands(capsys.readouterr().out) == []
    assert not (tmp_path / "summary.md").exists()


def test_a_comparison_that_cannot_be_made_is_an_error_at_the_top_of_the_job(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not only an exit status."""
    status = main(["compare", "missing.json", "--candidate", "new.json"])

    assert status == NOT_COMPARED
    (found,) = commands(capsys.readouterr().err)
    assert found[:2] == ("error", {"title": "sdbatch"})
    assert "missing.json" in found[2]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x.txt", "name it .md"),
        ("no/x.md", "no does not exist"),
        (".md", "name it .md"),
        ("README.md", "it is no report of pytest-sdbatch, so it is not replaced"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_at_once(
    name: str, why: str, capsys: pytest.CaptureFixture[Any]
) -> None:
    """Before anything is read; what is there stays."""
    Path("README.md").write_text("# Mine\n")

    with pytest.raises(SystemExit) as ended:
        main(["compare", "base.json", "--candidate", "new.json", "--report", name])

    assert ended.value.code == USAGE_ERROR
    assert why in capsys.readouterr().err
    assert Path("README.md").read_text() == "# Mine\n"


def test_an_earlier_report_is_replaced(tmp_path: Path) -> None:
    """Be it one of another command: all begin with the same mark."""
    (tmp_path / "comment.md").write_text(f"{MARK}\nold\n")

    main(["compare", "base.json", "--candidate", "new.json", "--report", "comment.md"])

    assert "old" not in (tmp_path / "comment.md").read_text(encoding="utf-8")


def test_a_report_that_can_no_longer_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was found is shown all the same, and the exit status is that of the verdicts where they have one."""
    good = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 5, {1: 1.0}))
    bad = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 5, {1: 1.2}))
    gone = Outlets(as_json=False, github=False, report=tmp_path / "gone" / "x.md")

    statuses = give_out(good, gone), give_out(bad, gone)

    said = capsys.readouterr()
    assert statuses == (ExitStatus.NOT_WRITTEN, ExitStatus.REGRESSED)
    assert "1 unchanged" in said.out
    assert said.err.startswith(f"ERROR: --report: {gone.report} cannot be written\n")


def test_a_job_that_is_stopped_says_so_to_all(capsys: pytest.CaptureFixture[str]) -> None:
    """In one shape: as JSON, as an annotation, and as an error in words."""
    outlets = Outlets(as_json=True, github=True, report=None)

    status = refuse(SdbatchError("stopped before a pair was run"), outlets, status=ExitStatus.STOPPED)

    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "exit_status": status,
        "error": "stopped before a pair was run",
        "why": "",
        "fix": "",
    }
    assert [message for _, _, message in commands(said.err)] == ["stopped before a pair was run"]
    assert said.err.endswith("ERROR: stopped before a pair was run\n")
