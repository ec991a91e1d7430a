"""What ``sdbatch ab`` makes of its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_sdbatch.analysis.ab import Acceptance
from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.commands.ab.command_line import read
from pytest_sdbatch.commands.sweep import QUIET, SUITE


def test_what_stands_behind_the_dashes_is_pytests() -> None:
    """As are options before them that are not ours; the shipped suite is run where there are no dashes."""
    ours = read(["--base=main", "-k", "fast", "--minutes", "3", "--", "benchmarks/", "--sd-batch-sizes=1"])
    suite = read(["--base", "main", "--sd-batch-sizes=1,4"])

    assert ours.arguments == ("-k", "fast", "benchmarks/", "--sd-batch-sizes=1", *QUIET)
    assert (ours.base, ours.base_python, ours.minutes) == ("main", None, 3.0)
    assert suite.arguments == (*SUITE, "--sd-batch-sizes=1,4", *QUIET)


def test_options_of_pytest_may_stand_before_the_dashes() -> None:
    """With the shipped suite there is nothing behind them; names that begin like ours are pytest's all the same."""
    words = ["--basetemp=x", "--setup-show", "--report-log=y", "--sd-batch-size=1"]

    assert read(["--base=main", *words]).arguments[2:6] == tuple(words)


def test_paths_are_those_of_each_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute one would lead both sides into the working tree; one from elsewhere stays."""
    monkeypatch.chdir(tmp_path)

    given = read(["--base=main", "--", f"{tmp_path}/benchmarks/test_x.py::test_it", "/elsewhere/x.py"])

    assert given.arguments[:2] == ("benchmarks/test_x.py::test_it", "/elsewhere/x.py")


def test_a_path_through_a_linked_folder_is_one_of_the_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else both sides would run in the working tree."""
    (tmp_path / "project" / "benchmarks").mkdir(parents=True)
    (tmp_path / "link").symlink_to("project")
    monkeypatch.chdir(tmp_path / "project")

    given = read(["--base=main", "--", f"{tmp_path}/link/benchmarks::test_it"])

    assert given.arguments[0] == "benchmarks::test_it"


def test_the_rules_have_the_gates_defaults() -> None:
    """What may be called regressed is each case's budget; five percent must be excluded."""
    given = read(["--base=main"])

    assert (given.tolerance, given.margin, given.fail_on, given.report_only) == (None, 0.05, "regressed", False)


def test_acceptances_are_a_case_or_metric_and_a_reason() -> None:
    """A node id holds colons; the first that a space follows ends it."""
    given = read(["--base=main", "--accept", "b.py::test_x[a-b1x1]: needed: see 12", "--accept=time: all"])

    assert given.accept == (
        Acceptance(what="b.py::test_x[a-b1x1]", reason="needed: see 12"),
        Acceptance(what="time", reason="all"),
    )


@pytest.mark.parametrize(("words", "fixed"), [(["--sd-steps=8"], True), (["-o", "sd_steps=8"], True), ([], False)])
def test_steps_that_were_asked_for_are_known(words: list[str], fixed: bool) -> None:
    """They are never made fewer to end in time."""
    assert read(["--base=main", "--", *words]).fixes_steps is fixed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the other side: --base REF"),
        (["--bsae", "x"], "unknown option --bsae: did you mean --base?"),
        (["--base=a", "--minuts=3"], "unknown option --minuts: did you mean --minutes?"),
        (["--base=a", "--sd-bach-sizes=1"], "did you mean --sd-batch-sizes?"),
        (["--base=a", "--", "--sd-bach-sizes=1"], "did you mean --sd-batch-sizes?"),
        (["--base=a", "--", "--sd-batch-sizes", "1", "4"], "--sd-batch-sizes=1,4"),
        (["--base=a", "--base-python=b"], "not allowed with"),
        (["--base=a", "--accept=b1x1"], "CASE: REASON"),
        (["--base=a", "--accept=: why"], "CASE: REASON"),
        (["--base=a", "--minutes=0"], "not a number above 0"),
        (["--base=a", "--minutes=nan"], "not a number above 0"),
        (["--base=a", "--tolerance=1"], "not a share"),
        (["--base=a", "--report=x.html"], "name it .md"),
        (["--base=a", "--report=nowhere/x.md"], "nowhere does not exist"),
        (["--base=a", "--", "--sd-report=x.json"], "--sd-report=x.json: not with ab"),
        (["--base=a", "--", "-o", "sd_save=main"], "sd_save=main: not with ab"),
        (["--base=a", "--", "-osd_gate=yes"], "-osd_gate=yes: not with ab"),
        (["--base=a", "--", "--override-ini=sd_resume=yes"], "sd_resume=yes: not with ab"),
        (["--base=a", "--", "--sd-plan"], "--sd-plan: not with ab"),
        (["--base=a", "--", "--sd-baseline=main"], "--sd-baseline=main: not with ab"),
        (["--base=a", "--", "-n", "2"], "-n: not with ab"),
        (["--base=a", "--", "-nauto"], "-nauto: not with ab"),
    ],
)
def test_a_wrong_command_line_is_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is made or run."""
    with pytest.raises(SystemExit) as ended:
        read(words)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be found out only after everything was measured: a folder, or no right to write."""
    (tmp_path / "folder.md").mkdir()
    for name, writable in (("folder.md", True), ("x.md", False)):
        monkeypatch.setattr("os.access", lambda path, mode, writable=writable: writable)  # root may always
        with pytest.raises(SystemExit) as ended:
            read(["--base=a", f"--report={tmp_path / name}"])
        assert ended.value.code == 2
    assert "folder.md cannot be written: it is a folder" in (said := capsys.readouterr().err)
    assert f"x.md cannot be written: the folder {tmp_path} is not writable" in said


def test_the_help_lists_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    """In the order in which they apply."""
    with pytest.raises(SystemExit):
        read(["--help"])

    text = capsys.readouterr().out.partition("the first that applies:")[2]
    assert [int(number) for number in re.findall(r"^ +(\d+)  ", text, re.MULTILINE)] == list(ExitStatus)


@pytest.mark.parametrize("words", [["-o", "sd_rounds=3"], ["-osd_max_rounds=4"], ["--override-ini=sd_rounds=4"]])
def test_rounds_that_can_never_lead_to_a_verdict_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before minutes are spent on them."""
    with pytest.raises(SystemExit) as raised:
        read(["--base=main", "--", *words])

    assert raised.value.code == ExitStatus.USAGE
    assert "a verdict on time needs 5 rounds of each case or more" in capsys.readouterr().err
