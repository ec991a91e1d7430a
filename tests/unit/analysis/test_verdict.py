"""The words of a comparison, and the pages that say what each means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_sdbatch.analysis.verdict import Verdict, worst_first

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"


@pytest.mark.parametrize(("page", "never"), [("ab.md", set()), ("compare-runs.md", {Verdict.ACCEPTED})])
def test_a_page_explains_every_verdict_that_is_printed(page: str, never: set[Verdict]) -> None:
    """In a row of its table, alone or together; no word is made up there."""
    table = (HOW_TO / page).read_text(encoding="utf-8").partition("| verdict | meaning |")[2].partition("\n\n")[0]
    words = [word for row in re.findall(r"^\| ([a-z, ]+) \|", table, re.MULTILINE) for word in row.split(", ")]

    assert set(words) == {verdict.value for verdict in set(Verdict) - never}


def test_every_verdict_has_a_rank_and_a_slowdown_decides_among_equals() -> None:
    """What somebody must look at comes first; an unknown change counts as none."""
    ranked = sorted(Verdict, key=lambda verdict: worst_first(verdict, 9.0))

    assert (ranked[0], ranked[-1]) == (Verdict.REGRESSED, Verdict.UNCHANGED)
    changes = (-0.2, None, 0.1, 0.5)
    assert sorted(changes, key=lambda change: worst_first(Verdict.REGRESSED, change)) == [0.5, 0.1, None, -0.2]
