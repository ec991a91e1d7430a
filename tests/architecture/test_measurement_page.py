"""docs/explanation/measurement.md names what a run file and the table hold."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Outcome, Record, Round
from pytest_sdbatch.report.table import COLUMNS
from pytest_sdbatch.storage.codec import encode_record

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "measurement.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([^`]+)`", PAGE.replace("```", "")))
# A round that knows everything: 1 of each figure.
ROUND = Round(
    **{field.name: 1 for field in dataclasses.fields(Round) if field.name not in ("call_s", "stage_s")},
    call_s=(1.0,),
    stage_s={"denoiser": 1.0},
)


def test_every_figure_of_a_round_is_named_as_the_class_and_as_the_file_have_it() -> None:
    """Whoever reads a run file with a program of their own finds each column on the page."""
    case = Case(model="m", dtype="fp32", device="cpu", height=8, width=8, steps=1, batch_size=1, batch_count=1)
    stored = encode_record(Record(test="t", case=case, outcome=Outcome.OK, rounds=(ROUND,)))["rounds"]

    assert {field.name for field in dataclasses.fields(Round)} - WORDS == set()
    assert {name for name in stored if name not in WORDS} == set()
    assert len(stored) == len(dataclasses.fields(Round))


def test_every_column_of_the_device_has_a_sentence() -> None:
    """Its header says neither of what it is the mean nor of what the percent."""
    titles = [column.title for column in COLUMNS if column.key in ("energy", "clock", "heat", "cap")]

    assert len(titles) == 4
    assert [title for title in titles if f"| {title} | " not in PAGE] == []


def test_every_outcome_has_a_row() -> None:
    """What it means, and what becomes of the test."""
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| [^|]+ \|$", PAGE.partition("## Outcomes")[2], flags=re.MULTILINE)

    assert sorted(rows) == sorted(Outcome)
