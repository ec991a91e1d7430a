"""What a run measured, for the summary of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hostile import markup_in, names
from hypothesis import HealthCheck, given, settings

from pytest_sdbatch.records import Environment, Outcome, Record
from pytest_sdbatch.report.bounded import COMMENT_BYTES
from pytest_sdbatch.report.run_summary import run_summary
from pytest_sdbatch.report.table import rows

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

WHERE = Environment(
    must_match={"device_kind": "cuda", "device_name": "Some GPU", "torch": "2.13.0"},
    drift={},
    shown={"commit": "0123456789abcdef", "dirty": True},
)


def test_what_went_wrong_comes_before_the_figures(curve: list[Record], sd15: Maker) -> None:
    """A count, the machine, the answer; a failed case is the first row, then what did not fit, then the rest."""
    failed = sd15.ended(2, Outcome.INVALID_OUTPUT, "image 0 is black")

    text = run_summary(rows([*curve, failed]), ["sd15: the answer"], WHERE, most_bytes=COMMENT_BYTES)

    lines = text.splitlines()
    assert lines[2] == "**7 cases: 3 ok, 1 invalid-output, 1 oom, 2 skipped**"
    assert lines[4:6] == ["- Some GPU, torch 2.13.0, commit 0123456789ab with changes", "- sd15: the answer"]
    table = [line.split(" | ") for line in lines if line.startswith("| sd15-")]
    assert [row[0].rpartition("-")[2] for row in table] == ["b2x1", "b16x1", "b32x1", "b64x1", "b1x1", "b4x1", "b8x1"]
    assert table[0][-1] == "invalid-output; image 0 is black |"
    assert table[4][1:4] == ["620 ms", "±0 %", "1.61"]


def test_more_cases_than_fit_are_counted(sd15: Maker) -> None:
    """The table ends before the limit and says how many rows are missing."""
    table = rows([sd15.record(size) for size in range(1, 301)])

    text = run_summary(table, [], WHERE, most_bytes=8_000)

    shown = sum(line.startswith("| sd15-") for line in text.splitlines())
    assert 6_000 < len(text.encode()) <= 8_000
    assert text.endswith(f"{300 - shown} more cases without a row here; the run file has them all\n")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names)
def test_hostile_names_stay_text(sd15: Maker, name: str) -> None:
    """In test, model, reason, device and title."""
    records = [sd15.group(model=name).record(1, test=f"t.py::t[{name}]"), sd15.ended(2, Outcome.CRASHED, name)]
    where = Environment(must_match={"device_name": name}, drift={"torch": name}, shown={})

    text = run_summary(rows(records), [name], where, most_bytes=COMMENT_BYTES, title=name)

    head, *lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines} == {head.count("|")}
    assert not markup_in(text)
    assert {sign for sign in text if not sign.isprintable()} == {"\n"}


@pytest.mark.parametrize("shown", [{}, {"commit": None}])
def test_of_an_unknown_machine_nothing_is_invented(sd15: Maker, shown: dict[str, None]) -> None:
    """It is said that nothing is known."""
    where = Environment(must_match={}, drift={}, shown=shown)

    assert "- nothing is known of the machine" in run_summary(rows([sd15.record(1)]), [], where, most_bytes=9_000)
