"""What training runs look like on the page: of steps and examples, not of calls and images."""

from __future__ import annotations

import re

import pytest
from pages import data_of
from reported import record, reported, run, trained

from pytest_sdbatch.report.markdown_report import report_markdown
from pytest_sdbatch.report.page.document import page

SIZES = (1, 2, 4, 8)


@pytest.fixture(scope="module")
def text() -> str:
    """Return the page of a fit table with prices."""
    made = [run(*(trained(size) for size in SIZES))]
    return page(reported(made, prices={"NVIDIA H100 80GB HBM3": 3.6}))


def blocks_of(text: str, section: str) -> list[dict[str, object]]:
    """Return what is drawn in a section, for the first view."""
    found: list[dict[str, object]] = data_of(text)["sections"][section][0]
    return found


def test_nothing_on_the_page_of_training_speaks_of_calls_and_images(text: str) -> None:
    """What is timed is a step, what it is made of are examples."""
    shown = re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)
    drawn = str(data_of(text))

    assert "Which batch size?" in shown
    for words in (re.sub(r"<[^>]*>", " ", shown), drawn):
        assert re.findall(r"\b(?:per|a|or) calls?\b|\bimages/s|\bper image", words) == []


def test_a_line_is_fitted_through_the_steps(text: str) -> None:
    """As through calls: with its band, and what it leaves."""
    (throughput,) = blocks_of(text, "throughput")
    seconds, residuals = blocks_of(text, "seconds")

    assert throughput["y"] == "examples/s"
    assert {series["k"] for series in throughput["series"]} >= {"line", "points", "faint"}  # type: ignore[attr-defined]
    assert seconds["title"] == "Seconds per step"
    assert seconds["y"] == "a step (ms)"
    assert re.match(r"a = (99\.\d|10\d) ms, c = (49|50)\.\d ms; at most 0 % off", str(seconds["note"]))
    assert residuals["title"] == "Measured over fitted"


def test_the_cost_is_that_of_an_epoch(text: str) -> None:
    """13 batches of 8 in 0.5 s each are 6.5 s, at a dollar for 1000 seconds."""
    cost = text[text.index("<section id=cost") : text.index("<section id=changed")]

    assert "an epoch takes" in cost
    assert "$ per epoch" in cost
    assert re.search(r"fastest</th>.*<td class=n>6\.\d\d s</td><td class=n>\$0\.006\d*</td>", cost)


def test_all_cases_have_the_columns_of_training_and_sort_by_their_figures(text: str) -> None:
    """Fits, batches and time of an epoch, the peaks of the phases."""
    columns = {column["title"]: column for column in data_of(text)["cases"]["columns"]}

    assert list(columns)[:3] == ["batch", "outcome", "per step"]
    assert columns["batches per epoch"]["by"] == [100, 50, 25, 13]
    assert columns["epoch"]["texts"][3].endswith(" s")
    assert columns["epoch"]["by"][0] == pytest.approx(15, rel=0.02)
    assert columns["fits"]["texts"] == ["measured"] * 4
    assert "peak of forward/backward/optimizer" in columns


def test_accumulation_counts_all_its_examples() -> None:
    """4 batches of 2 in 0.8 s are 10 examples/s, in the points and on the curve."""
    text = page(reported([run(*(trained(size, accumulation=4) for size in SIZES))]))
    (figure,) = blocks_of(text, "throughput")
    series = {one["k"]: one for one in figure["series"]}  # type: ignore[attr-defined]

    assert series["points"]["y"][1] == pytest.approx(10, rel=0.02)
    assert max(series["line"]["y"]) == pytest.approx(8 / 0.5, rel=0.02)
    assert max(series["faint"]["y"]) == pytest.approx(8 / 0.5, rel=0.03)


def test_training_beside_generation_says_what_is_what() -> None:
    """A page of both has words for both, and cells with their unit."""
    mixed = page(reported([run(*(record(size) for size in SIZES), *(trained(size) for size in SIZES))]))
    columns = {column["title"]: column["texts"] for column in data_of(mixed)["cases"]["columns"]}

    assert "Seconds per call or step" in mixed
    assert {text.partition(" ")[2] for text in columns["throughput"]} == {"images/s", "examples/s"}
    assert "per call or step" in columns


def test_markdown_has_a_table_for_each_kind() -> None:
    """With the columns that each has in the terminal."""
    text = report_markdown(reported([run(*(record(size) for size in SIZES), *(trained(size) for size in SIZES))]))

    assert "| case | per call |" in text
    assert "| batch | per step |" in text
    assert "| batches per epoch |" in text
