"""A report as Markdown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from compared import quiet_side
from hostile import markup_in
from reported import hostile_run, out_of_memory, record, reported, run

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.records import Environment, Outcome, Record
from pytest_sdbatch.report.comparison_data import comparison_data
from pytest_sdbatch.report.markdown import MARK
from pytest_sdbatch.report.markdown_report import report_markdown
from pytest_sdbatch.storage.verdict_file import verdicts_of


def test_the_answer_comes_first_then_the_figures_then_the_place() -> None:
    """Who reads three lines has the answer."""
    lines = report_markdown(
        reported([run(*(record(size) for size in (1, 2, 4, 8, 16)), out_of_memory(32))])
    ).splitlines()

    assert lines[2].startswith("- sd15-random-bf16-512x512-s20: fastest is batch size 16 at")
    assert "\\(batch size 32 ran out of memory\\)" in lines[2]
    heads = [line for line in lines if line.startswith("#")]
    assert heads == ["# sdbatch report", "## Figures", "## Where"]
    assert [line.split(" | ")[0] for line in lines if line.startswith("| b")] == [
        f"| b{size}x1" for size in (1, 2, 4, 8, 16, 32)
    ]
    assert "| device name | NVIDIA H100 80GB HBM3 |" in lines


def test_two_devices_have_an_answer_each_with_its_price_and_what_differs() -> None:
    """What they share is not in the table."""
    slow = [record(size, a_s=0.3, c_s=0.5, number=1) for size in (1, 2, 4, 8)]
    made = reported(
        [run()], [run(*slow, number=1, where={"device_name": "NVIDIA L4"})],
        prices={"NVIDIA H100 80GB HBM3": 2.49, "NVIDIA L4": 0.71},
    )  # fmt: skip

    text = report_markdown(made)

    assert "**NVIDIA H100 80GB HBM3**\n\n- sd15-random" in text
    assert "**NVIDIA L4**\n\n- sd15-random" in text
    assert text.count(" per 1000") == 2
    assert "| device name | NVIDIA H100 80GB HBM3 | NVIDIA L4 |" in text
    assert "| torch |" not in text


def test_splits_and_the_largest_batch_are_told_where_they_were_asked_for() -> None:
    """``--images`` and ``--memory`` of the command."""
    text = report_markdown(reported([run()], images=16, memory_limit_bytes=24 * 2**30))

    assert "16 images: " in text
    assert "| 4x4 |" in text
    assert "with 24.0 GiB: about " in text


def test_verdicts_stand_before_the_figures_the_worst_first() -> None:
    """With what was compared, and why."""
    comparison = compare(quiet_side("base", 5, {1: 1.0, 2: 1.0}), quiet_side("new", 1, {1: 1.0, 2: 1.2}))
    text = report_markdown(reported([run()], verdicts=verdicts_of(comparison_data(comparison, status=10))))

    changed = text.index("## What changed")
    assert changed < text.index("## Figures")
    assert "**2 cases compared: 1 regressed, 0 improved, 1 unchanged" in text
    assert text.index("| regressed |") < text.index("| unchanged |")
    assert "- base: 5 runs: base.json" in text


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    """No markup, no HTML, no mention, no command, no row of its own."""
    text = report_markdown(reported([hostile_run()]))

    assert "<img" not in text
    assert "</script" not in text
    assert text.replace("\n", "").isprintable()
    assert "@team" not in text.replace("@<!-- -->team", "")
    assert not markup_in(text.removeprefix(MARK))
    assert not re.search(r":[\w+-]+:", report_markdown(reported([run(record(1, test="a.py::tada"))])))
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("::", "##["))]
    assert len([line for line in text.splitlines() if line.startswith("| b")]) == 4


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([record(4)], "it takes two batch sizes that ended well"),
        ([out_of_memory(1), out_of_memory(2)], "no case ended well: 2 oom"),
        ([record(size, outcome=Outcome.THROTTLED) for size in (1, 2)], "no case ended well: 2 throttled"),
        ([record(1, test_outcome="failed")], "no case ended well: 1 test failed"),
    ],
    ids=["one", "oom", "throttled", "failed"],
)
def test_where_there_is_no_answer_it_is_said_why(records: list[Record], why: str) -> None:
    """Beside what memory was asked for, which may have an answer of its own."""
    text = report_markdown(reported([run(*records)], memory_limit_bytes=2.0**34))

    assert f"- no answer, because {why}\n" in text
    assert "\n- with 16.0 GiB: " in text.partition("What fits:")[2]


def test_what_fits_and_what_the_columns_mean_is_told() -> None:
    """As on the page and under the table of the terminal, of two sizes and of a tiny model, too."""
    text = report_markdown(reported([run(record(1, model="tiny-sd"), record(2, model="tiny-sd"))]))

    assert ": at least 2 fit\n" in text.partition("What fits:")[2]
    assert "- within this run: 95 % interval of one process; peak memory: " in text


def test_a_run_that_was_cut_short_and_a_machine_that_nobody_knows_are_named() -> None:
    """What is missing is not taken for what was not asked for."""
    unknown = Environment(must_match={"device_name": None}, drift={}, shown={})

    text = report_markdown(reported([replace(run(interrupted=True), environment=unknown)]))

    assert "- device: 1 run of run0.json, 2026-11-28 10:00 UTC; interrupted: cases are missing" in text
    assert text.endswith("Nothing is known of the machine.\n")
