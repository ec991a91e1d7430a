"""``--sd-report`` with several files, of a run on a fake device."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from benchmark_run import RunBenchmark
from gated import RecordBaseline

from pytest_sdbatch import read_run_file


def test_a_run_is_written_in_every_form_that_was_asked_for(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """The flag may be given several times, and several names in one; each file is said."""
    result = run_benchmark(
        "--sd-batch-sizes=1,2,4", "--sd-report=run.json", "--sd-report=r.html,r.md", "--sd-report=r.csv"
    )

    assert result.run.ret == 0
    assert len(read_run_file(pytester.path / "run.json")[0].records) == 3
    assert (pytester.path / "r.html").read_text().startswith("<!doctype html>")
    assert "# sdbatch report" in (pytester.path / "r.md").read_text()
    with (pytester.path / "r.csv").open() as file:
        assert [(line["file"], line["batch_size"]) for line in csv.DictReader(file)] == [
            ("run.json", "1"), ("run.json", "2"), ("run.json", "4"),
        ]  # fmt: skip
    for name in ("run file: *run.json", "report: *r.html", "report: *r.md", "report: *r.csv"):
        result.run.stdout.fnmatch_lines([name])


def test_a_report_is_replaced_by_that_of_the_next_run(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """The configuration may name it once for all; a file of another kind is left alone, before anything runs."""
    pytester.makeini("[pytest]\nsd_report = r.md")
    assert run_benchmark("--sd-batch-sizes=1").run.ret == 0
    first = (pytester.path / "r.md").read_text()

    assert run_benchmark("--sd-batch-sizes=1,2", source=None).run.ret == 0
    assert (pytester.path / "r.md").read_text() != first

    (pytester.path / "r.md").write_text("mine")
    result = run_benchmark("--sd-batch-sizes=1", source=None)
    assert result.run.ret == 4
    assert "it is no report of pytest-sdbatch" in result.text
    assert (pytester.path / "r.md").read_text() == "mine"


def test_the_verdicts_of_a_gate_are_in_the_report(
    run_benchmark: RunBenchmark, record: RecordBaseline, pytester: pytest.Pytester
) -> None:
    """What --sd-baseline found is shown beside the figures."""
    record()

    result = run_benchmark("--sd-batch-sizes=1,2,4", "--sd-baseline=main", "--sd-report=r.md")

    text = Path(pytester.path / "r.md").read_text()
    assert result.run.ret == 0
    assert "## What changed" in text
    assert "compared: " in text
