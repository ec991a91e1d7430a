"""How a comparison ends, as a number for scripts: one table for ``sdbatch ab``, ``compare`` and the gate in pytest."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import Comparison


class ExitStatus(IntEnum):
    """What a script is told. The first that applies, in this order."""

    INVALID_ENVIRONMENT = 13  # what was measured cannot be believed
    NOT_COMPARED = 12  # there is nothing to compare with, or it cannot be compared
    REGRESSED = 10
    STOPPED = 130  # before it was done
    INCONCLUSIVE = 11  # and it was asked to fail on that
    NOT_WRITTEN = 1  # the report, or what it is made of cannot be read
    GOOD = 0
    USAGE = 2  # known before anything else


def status_of(
    comparison: Comparison,
    *,
    invalid: str | None = None,
    interrupted: bool = False,
    report_only: bool = False,
    fail_on: str = "regressed",
) -> ExitStatus:
    """Return the exit status of a comparison that was made: the first that applies.

    Args:
        comparison: with what is accepted.
        invalid: why nothing can be believed; None: it can.
        interrupted: whether it was stopped before it was done.
        report_only: whether no verdict makes it fail.
        fail_on: ``regressed`` or ``inconclusive``.

    """
    from pytest_sdbatch.analysis.comparison import COMPARED
    from pytest_sdbatch.analysis.verdict import Verdict

    if invalid is not None:
        return ExitStatus.INVALID_ENVIRONMENT
    if comparison.count(Verdict.INCOMPARABLE) or not comparison.count(*COMPARED):
        return ExitStatus.NOT_COMPARED
    if comparison.count(Verdict.REGRESSED) and not report_only:
        return ExitStatus.REGRESSED
    if interrupted:
        return ExitStatus.STOPPED
    if fail_on == "inconclusive" and comparison.count(Verdict.INCONCLUSIVE) and not report_only:
        return ExitStatus.INCONCLUSIVE
    return ExitStatus.GOOD


def help_of(meanings: Mapping[ExitStatus, str]) -> str:
    """Return what ``--help`` says of the exit statuses that a command has; the order is that of the table."""
    lines = [f"{status:4}  {meanings[status]}" for status in ExitStatus if status in meanings]
    return "\n".join(["exit status, the first that applies:", *lines])
