"""The exit status of ``sdbatch ab``, and where its files are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from compared import ended, facts, measured, side

from pytest_sdbatch.analysis.ab import compare_pairs
from pytest_sdbatch.analysis.outcomes import invalid_environment
from pytest_sdbatch.analysis.sides import Measured
from pytest_sdbatch.commands.ab.command_line import (
    GOOD,
    INCONCLUSIVE,
    INVALID_ENVIRONMENT,
    NOT_COMPARED,
    REGRESSED,
    STOPPED,
)
from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.job import folder_for, status_of, write_report

SAME = measured()
WORSE = ended(1, "oom", "no memory")
THROTTLED = ended(1, "throttled")
UNSURE = measured(seconds=[1.0] * 3)
WELL = measured(4)
INVALID = ended(1, "invalid-environment", "others use it")
ELSEWHERE = measured(facts=facts(must_match={"device_name": "Other card"}))


@pytest.mark.parametrize(
    ("base", "candidate", "options", "status"),
    [
        ([SAME], [INVALID], {}, INVALID_ENVIRONMENT),
        ([SAME, WELL], [WORSE, INVALID], {}, INVALID_ENVIRONMENT),
        ([THROTTLED, WELL], [THROTTLED, WELL], {}, INVALID_ENVIRONMENT),
        ([SAME], [ELSEWHERE], {}, NOT_COMPARED),
        ([SAME], [], {}, NOT_COMPARED),
        ([], [SAME], {}, NOT_COMPARED),
        ([SAME, WELL], [ELSEWHERE, ended(4, "oom")], {}, NOT_COMPARED),
        ([SAME], [WORSE], {}, REGRESSED),
        ([SAME], [WORSE], {"interrupted": True}, REGRESSED),
        ([SAME, WELL], [WORSE, measured(4, seconds=[1.0] * 3)], {"fail_on": "inconclusive"}, REGRESSED),
        ([SAME], [WORSE], {"report_only": True}, GOOD),
        ([SAME], [SAME], {"interrupted": True}, STOPPED),
        ([SAME, WELL], [UNSURE, WELL], {"interrupted": True, "fail_on": "inconclusive"}, STOPPED),
        ([SAME, WELL], [UNSURE, WELL], {"fail_on": "inconclusive"}, INCONCLUSIVE),
        ([SAME, WELL], [UNSURE, WELL], {"fail_on": "inconclusive", "report_only": True}, GOOD),
        ([SAME, WELL], [UNSURE, WELL], {}, GOOD),
        ([SAME], [SAME], {}, GOOD),
        ([WORSE], [SAME], {}, GOOD),
    ],
)
def test_the_exit_status_is_the_first_that_applies(
    base: list[Measured], candidate: list[Measured], options: dict[str, bool | str], status: int
) -> None:
    """13, 12, 10, 130, 11, 0: what is wrong with the comparison goes before what it says."""
    pair = side("base", base)[0], side("new", candidate)[0]
    found = compare_pairs(lambda cases, number: [pair] * number)

    usual = {"interrupted": False, "report_only": False, "fail_on": "regressed"}
    invalid = invalid_environment(side for case in found.cases for side in (case.base, case.candidate))
    assert status_of(found, invalid=invalid, **{**usual, **options}) == status  # type: ignore[arg-type]


def test_the_files_of_five_jobs_are_kept(tmp_path: Path) -> None:
    """In a folder that git ignores, beside the journals; other folders there are left alone."""
    (tmp_path / ".sdbatch").mkdir()
    (tmp_path / ".sdbatch" / "other").mkdir()

    made = [folder_for(tmp_path) for _ in range(7)]

    assert sorted(path for path in (tmp_path / ".sdbatch").glob("ab-*")) == made[2:]
    assert (tmp_path / ".sdbatch" / "other").is_dir()
    assert (tmp_path / ".sdbatch" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_files_that_cannot_be_kept_end_the_job(tmp_path: Path) -> None:
    """Before anything is run."""
    (tmp_path / ".sdbatch").write_text("a file")

    with pytest.raises(NoComparison, match="no files can be written there"):
        folder_for(tmp_path)


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line; what was measured is shown all the same, and the exit status is not 0."""
    found = compare_pairs(lambda cases, number: [(side("b", [SAME])[0], side("n", [SAME])[0])] * number)
    said: list[str] = []

    assert not write_report(found, tmp_path, (), said.append)
    assert capsys.readouterr().err == f"ERROR: --report {tmp_path} cannot be written: Is a directory\n"
    assert write_report(found, tmp_path / "x.md", (), said.append)
    assert said == [f"report: {tmp_path / 'x.md'}"]
