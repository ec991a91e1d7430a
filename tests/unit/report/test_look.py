"""A report on the screen."""

from __future__ import annotations

from compared import quiet_side
from reported import hostile_run, record, reported, run

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.report.comparison_data import comparison_data
from pytest_sdbatch.report.look import look
from pytest_sdbatch.storage.verdict_file import verdicts_of


def test_each_source_has_its_table_and_its_answer() -> None:
    """As at the end of the run that made it."""
    text = look(
        reported([run()], [run(number=1, where={"device_name": "NVIDIA L4"})], images=4), width=100, color=False
    )

    assert text.count("per call") == 2
    assert text.count("16 images") + text.count("4 images: ") == 2
    assert text.index("NVIDIA H100 80GB HBM3: run0.json") < text.index("NVIDIA L4: run1.json")


def test_what_is_missing_is_said() -> None:
    """Cases of a run that was interrupted, and the answer."""
    text = look(reported([run(record(1), interrupted=True)]), width=100, color=False)

    assert text.startswith("NVIDIA H100 80GB HBM3: run0.json; interrupted: cases are missing\n")
    assert text.endswith("no answer, because it takes two batch sizes that ended well")


def test_verdicts_come_last_with_their_count() -> None:
    """The last line says whether something regressed."""
    comparison = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: 1.2}))
    made = reported([run()], verdicts=verdicts_of(comparison_data(comparison, status=10)), memory_limit_bytes=2.0**35)

    lines = look(made, width=100, color=False).splitlines()

    assert lines[-2].startswith("1 case compared: 1 regressed")
    assert any(line.startswith("  regressed  1.00 s  1.20 s   +20 %") for line in lines)
    assert any(line.startswith("with 32.0 GiB: about ") for line in lines)


def test_a_terminal_is_given_no_command() -> None:
    """Neither escape sequences nor those of a job's log, at any width."""
    for width in (40, 100):
        text = look(reported([hostile_run()]), width=width, color=False)

        assert text.replace("\n", "").isprintable()
        assert not [line for line in text.splitlines() if line.lstrip().startswith(("::error", "##["))]
        assert "[b]bold[/b]" in text.replace("\n    ", "").replace("\n", "")
