"""One number for a script: which of several that apply, and that every page and help says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from compared import ended, facts, measured, side

from pytest_sdbatch.analysis.ab import compare_pairs
from pytest_sdbatch.analysis.exit_status import ExitStatus, help_of, status_of
from pytest_sdbatch.analysis.outcomes import invalid_environment
from pytest_sdbatch.analysis.sides import Measured

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
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
        ([SAME], [INVALID], {}, ExitStatus.INVALID_ENVIRONMENT),
        ([SAME, WELL], [WORSE, INVALID], {}, ExitStatus.INVALID_ENVIRONMENT),
        ([THROTTLED, WELL], [THROTTLED, WELL], {}, ExitStatus.INVALID_ENVIRONMENT),
        ([SAME], [ELSEWHERE], {}, ExitStatus.NOT_COMPARED),
        ([SAME], [], {}, ExitStatus.NOT_COMPARED),
        ([], [SAME], {}, ExitStatus.NOT_COMPARED),
        ([SAME, WELL], [ELSEWHERE, ended(4, "oom")], {}, ExitStatus.NOT_COMPARED),
        ([SAME], [WORSE], {}, ExitStatus.REGRESSED),
        ([SAME], [WORSE], {"interrupted": True}, ExitStatus.REGRESSED),
        ([SAME, WELL], [WORSE, measured(4, seconds=[1.0] * 3)], {"fail_on": "inconclusive"}, ExitStatus.REGRESSED),
        ([SAME], [WORSE], {"report_only": True}, ExitStatus.GOOD),
        ([SAME], [SAME], {"interrupted": True}, ExitStatus.STOPPED),
        ([SAME, WELL], [UNSURE, WELL], {"interrupted": True, "fail_on": "inconclusive"}, ExitStatus.STOPPED),
        ([SAME, WELL], [UNSURE, WELL], {"fail_on": "inconclusive"}, ExitStatus.INCONCLUSIVE),
        ([SAME, WELL], [UNSURE, WELL], {"fail_on": "inconclusive", "report_only": True}, ExitStatus.GOOD),
        ([SAME, WELL], [UNSURE, WELL], {}, ExitStatus.GOOD),
        ([SAME], [SAME], {}, ExitStatus.GOOD),
        ([WORSE], [SAME], {}, ExitStatus.GOOD),
    ],
)
def test_the_exit_status_is_the_first_that_applies(
    base: list[Measured], candidate: list[Measured], options: dict[str, bool | str], status: int
) -> None:
    """13, 12, 10, 130, 11, 0: what is wrong with the comparison goes before what it says."""
    pair = side("base", base)[0], side("new", candidate)[0]
    found = compare_pairs(lambda cases, number: [pair] * number)

    invalid = invalid_environment(side for case in found.cases for side in (case.base, case.candidate))
    assert status_of(found, invalid=invalid, **options) == status  # type: ignore[arg-type]


def test_the_help_lists_them_in_the_order_in_which_they_are_looked_at() -> None:
    """However a command names them."""
    text = help_of({ExitStatus.GOOD: "else", ExitStatus.STOPPED: "stopped", ExitStatus.REGRESSED: "slower"})

    assert text.splitlines()[1:] == ["  10  slower", " 130  stopped", "   0  else"]


@pytest.mark.parametrize("page", ["ab.md", "compare-runs.md", "gate-in-pytest.md"])
def test_a_page_lists_them_in_that_order_too(page: str) -> None:
    """The table below "the first that applies"; of a page with several, the first."""
    table = (HOW_TO / page).read_text(encoding="utf-8").partition("| exit status | when; the first that applies |")[2]
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", table.partition("\n\n")[0], re.MULTILINE)]

    assert numbers == [status for status in ExitStatus if status in numbers]
    assert len(numbers) >= 4
