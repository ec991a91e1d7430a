"""pytest-benchmark's options on our results."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from benchmark_run import RunBenchmark

MIXED = """
    def test_generate(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)

    def test_plain(benchmark):
        benchmark.pedantic(lambda: None, rounds=3)

    def test_none():
        pass
"""


def test_our_rows_leave_its_table_out(run_benchmark: RunBenchmark) -> None:
    """Where all rows are ours its table would say the same again."""
    result = run_benchmark("--sd-batch-sizes=1,4")

    assert "Legend" not in result.text
    assert "within this run" in result.text


def test_its_table_stays_for_other_rows(run_benchmark: RunBenchmark) -> None:
    """A benchmark that is not ours keeps pytest-benchmark's table."""
    result = run_benchmark("--sd-batch-sizes=1", source=MIXED)

    assert "Legend" in result.text
    assert "test_plain" in result.text


@pytest.mark.parametrize("option", ["--benchmark-sort=name", "--benchmark-columns=mean", "--benchmark-verbose"])
def test_its_table_is_shown_when_asked_for(run_benchmark: RunBenchmark, option: str) -> None:
    """An option of its display means that someone wants to see it."""
    result = run_benchmark("--sd-batch-sizes=1", option)

    assert "Legend" in result.text or "benchmark: 1 tests" in result.text


def test_its_json_holds_our_rounds_and_records(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """--benchmark-json has the same durations, and our record in a block of its own."""
    result = run_benchmark("--sd-batch-sizes=4", "--benchmark-json=out.json")

    (row,) = json.loads((pytester.path / "out.json").read_text())["benchmarks"]
    (record,) = result.records.values()
    assert row["stats"]["data"] == pytest.approx([round_.wall_s for round_ in record.rounds])
    assert row["sdbatch"]["record"]["case"]["batch_size"] == 4
    assert row["params"]["sd_batch_size"] == 4


def test_its_options_for_timing_do_not_change_our_rounds(run_benchmark: RunBenchmark) -> None:
    """Warm-up, rounds, precision and garbage collection of pytest-benchmark are for what it times itself."""
    plain = run_benchmark("--sd-batch-sizes=1")
    loaded = run_benchmark(
        "--sd-batch-sizes=1",
        "--benchmark-warmup=on",
        "--benchmark-min-rounds=20",
        "--benchmark-disable-gc",
        "--benchmark-min-time=1",
        "--benchmark-max-time=10",
    )

    assert [r.wall_s for r in next(iter(loaded.records.values())).rounds] == pytest.approx(
        [r.wall_s for r in next(iter(plain.records.values())).rounds]
    )


def test_only_benchmarks_runs_ours(run_benchmark: RunBenchmark) -> None:
    """--benchmark-only keeps tests with sd_benchmark."""
    result = run_benchmark("--sd-batch-sizes=1", "--benchmark-only", source=MIXED)

    result.run.assert_outcomes(passed=2, skipped=1)


def test_skipping_benchmarks_skips_ours(run_benchmark: RunBenchmark) -> None:
    """--benchmark-skip measures nothing."""
    result = run_benchmark("--sd-batch-sizes=1", "--benchmark-skip", source=MIXED)

    result.run.assert_outcomes(passed=1, skipped=2)
    assert result.records == {}


def test_autosave_and_compare_work(run_benchmark: RunBenchmark) -> None:
    """A second run is compared with the first by pytest-benchmark's own means."""
    run_benchmark("--sd-batch-sizes=1", "--benchmark-autosave")
    result = run_benchmark("--sd-batch-sizes=1", "--benchmark-compare")

    assert result.run.ret == 0
    assert "(0001_" in result.text


def test_its_command_line_reads_our_files(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """`pytest-benchmark compare` takes two files of --sd-report."""
    for name in ("a", "b"):
        run_benchmark("--sd-batch-sizes=1,4", f"--sd-report={name}.json")

    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", "a.json", "b.json", "--columns=mean,rounds"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("b4x1") == 2


def test_failing_by_its_threshold_is_refused(run_benchmark: RunBenchmark) -> None:
    """--benchmark-compare-fail would hide the results and cry wolf: one message, exit 4, nothing measured."""
    result = run_benchmark("--benchmark-compare-fail=mean:5%")

    assert result.run.ret == 4
    assert "--benchmark-compare-fail" in result.text


def test_without_pytest_benchmark_everything_of_ours_works(run_benchmark: RunBenchmark) -> None:
    """-p no:benchmark leaves our measurement, table and records."""
    result = run_benchmark("--sd-batch-sizes=1,4", "-p", "no:benchmark")

    assert result.outcomes == {"b1x1": "ok", "b4x1": "ok"}
    assert "within this run" in result.text
