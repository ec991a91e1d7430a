"""The words of a comparison, and the pages that say what each means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_sdbatch.analysis.verdict import Verdict

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"


@pytest.mark.parametrize(("page", "never"), [("ab.md", set()), ("compare-runs.md", {Verdict.ACCEPTED})])
def test_a_page_explains_every_verdict_that_is_printed(page: str, never: set[Verdict]) -> None:
    """In a row of its table, alone or together; no word is made up there."""
    table = (HOW_TO / page).read_text(encoding="utf-8").partition("| verdict | meaning |")[2].partition("\n\n")[0]
    words = [word for row in re.findall(r"^\| ([a-z, ]+) \|", table, re.MULTILINE) for word in row.split(", ")]

    assert set(words) == {verdict.value for verdict in set(Verdict) - never}
