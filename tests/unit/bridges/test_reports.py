"""What is made of a run for reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from reported import reported, run

from pytest_sdbatch.bridges.reports import reported_of, write
from pytest_sdbatch.options import resolve


@pytest.mark.parametrize(
    ("name", "begins"),
    [("r.md", "<!-- a report"), ("r.csv", '"file","run"'), ("r.html", "<!doctype html>\n<!-- a report")],
)
def test_the_suffix_decides_who_writes(tmp_path: Path, name: str, begins: str) -> None:
    """Each kind of report has its writer."""
    path = write(tmp_path / name, reported([run()]), option="-o")

    assert path.read_text(encoding="utf-8").startswith(begins)


def test_a_run_is_shown_with_the_question_of_its_options() -> None:
    """The price of the device by its name, the number of images, how close is close enough."""
    asked = {"price": "H100:3.6/h", "images": "16", "sweet_spot": "10%"}
    made = reported_of([run()], resolve(command_line=asked, ini={}, overrides={}), name="run.json")

    (source,) = made.sources
    assert source.files == ("run.json",)
    assert source.question.price_per_s == pytest.approx(0.001)
    assert (source.question.images, source.question.within) == (16, 0.1)
