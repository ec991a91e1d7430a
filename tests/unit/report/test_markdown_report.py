"""A report as Markdown."""

from __future__ import annotations

from compared import quiet_side
from reported import hostile_run, out_of_memory, record, reported, run

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.report.comparison_data import comparison_data
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
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("::", "##["))]
    assert len([line for line in text.splitlines() if line.startswith("| b")]) == 4
