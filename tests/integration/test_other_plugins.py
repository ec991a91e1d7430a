"""Plugins that people have installed beside this one, each as it comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sdbatch import Outcome, Record, read_run_file

pytestmark = pytest.mark.slow

CONFTEST = """
    import pytest
    from pytest_sdbatch.devices.fake import FakeDevice

    DEVICE = FakeDevice(capacity_images=8)

    def pytest_sdbatch_make_device(name):
        return DEVICE

    @pytest.fixture
    def generate():
        return DEVICE.generate
"""
BENCHMARK = """
    def test_generate(sd_benchmark, generate):
        assert sd_benchmark(generate)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """Return a folder with a benchmark on a device without a card."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=BENCHMARK)
    return pytester.path


def run(pytester: pytest.Pytester, *arguments: str) -> tuple[pytest.RunResult, dict[str, Record]]:
    """Run the benchmarks with warnings as errors; return the result, and the records by split."""
    report = pytester.path / "run.json"
    report.unlink(missing_ok=True)
    result = pytester.runpytest_subprocess(
        "-W", "error", "--sd-batch-sizes=1,2,4", f"--sd-report={report}", "-p", "no:cacheprovider", *arguments
    )
    runs = read_run_file(report) if report.exists() else ()
    return result, {record.case.split: record for one in runs for record in one.records}


def test_coverage_sees_the_code_and_not_the_rounds(project: Path, pytester: pytest.Pytester) -> None:
    """pytest-cov's tracer is paused in timed rounds, which the record says; lines run in warm-up are covered."""
    pytester.makepyfile(app="def generate(device, batch):\n    return device.generate(batch)\n")
    pytester.makepyfile(
        test_it="""
            import app
            from conftest import DEVICE

            def test_generate(sd_benchmark):
                sd_benchmark(lambda batch: app.generate(DEVICE, batch))
        """
    )

    result, records = run(pytester, "-p", "no:randomly", "--cov=app", "--cov-report=term-missing")

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["app.py * 100%*"])
    assert all("coverage" in (record.tracer or "") for record in records.values())


def test_a_random_order_leaves_ours_as_it_was_written(project: Path, pytester: pytest.Pytester) -> None:
    """pytest-randomly shuffles; sizes ascend all the same, so that nothing larger than what ran out is tried."""
    result, records = run(pytester, "-p", "randomly", "--randomly-seed=1", "--sd-batch-sizes=1,2,4,16,32")

    result.assert_outcomes(passed=3, skipped=2)
    assert list(records) == ["1x1", "2x1", "4x1", "16x1", "32x1"]
    assert records["32x1"].outcome is Outcome.SKIPPED


def test_a_rerun_replaces_what_the_failed_attempt_left(project: Path, pytester: pytest.Pytester) -> None:
    """pytest-rerunfailures: a test that passes the second time has one record, that of its last attempt, passed."""
    pytester.makepyfile(
        test_it="""
            attempts = []

            def test_generate(sd_benchmark, generate):
                attempts.append(sd_benchmark.case.batch_size)
                sd_benchmark(generate)
                assert attempts.count(2) != 1 or attempts[-1] != 2
        """
    )

    result, records = run(pytester, "-p", "no:randomly", "--reruns=1")

    result.stdout.fnmatch_lines(["*3 passed, 1 rerun*"])
    assert [record.test_outcome for record in records.values()] == ["passed"] * 3


def test_a_rerun_cannot_hide_a_failure(project: Path, pytester: pytest.Pytester) -> None:
    """A test that fails at every attempt is failed in the record, and the run is no baseline."""
    pytester.makepyfile(
        test_it="""
            def test_generate(sd_benchmark, generate):
                assert not sd_benchmark(generate)
        """
    )

    result, records = run(pytester, "-p", "no:randomly", "--reruns=1", "--sd-batch-sizes=1", "--sd-save=main")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert records["1x1"].test_outcome == "failed"
    result.stdout.fnmatch_lines(["*was not written*"])


@pytest.mark.parametrize("where", ["the round", "loading"])
def test_a_timeout_is_an_outcome(project: Path, pytester: pytest.Pytester, where: str) -> None:
    """pytest-timeout during a round or a fixture fails the test, leaves a record that says so, and the rest runs."""
    pytester.makepyfile(
        test_it="""
            import time

            import pytest

            @pytest.fixture
            def loaded(sd_case, generate):
                if sd_case.batch_size == 2 and WHERE == "loading":
                    time.sleep(30)
                return generate

            @pytest.mark.timeout(5, method="signal")
            def test_generate(sd_benchmark, loaded):
                def target(batch):
                    if batch.size == 2 and WHERE == "the round":
                        time.sleep(30)
                    return loaded(batch)

                sd_benchmark(target)
        """.replace("WHERE", repr(where))
    )

    result, records = run(pytester, "-p", "no:randomly")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [record.outcome for record in records.values()] == [Outcome.OK, Outcome.TIMEOUT, Outcome.OK]
    assert "Timeout" in (records["2x1"].reason or "")


def test_a_timeout_that_ends_the_process_keeps_the_rest(project: Path, pytester: pytest.Pytester) -> None:
    """pytest-timeout's thread method exits at once: the cases before are in the journal and can be gone on with."""
    pytester.makepyfile(
        test_it="""
            import os
            import time

            import pytest

            @pytest.mark.timeout(5, method="thread")
            def test_generate(sd_benchmark, generate):
                if sd_benchmark.case.batch_size == 2 and "SLOW" in os.environ:
                    time.sleep(30)
                sd_benchmark(generate)
        """
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLOW", "1")
        run(pytester, "-p", "no:randomly")

    result, records = run(pytester, "-p", "no:randomly", "--sd-resume")

    result.assert_outcomes(passed=2, deselected=1)
    assert list(records) == ["1x1", "2x1", "4x1"]


def test_codspeed_measures_alone(project: Path, pytester: pytest.Pytester) -> None:
    """With --codspeed our benchmarks run once each, unmeasured, and a line says why."""
    result, records = run(pytester, "-p", "no:randomly", "--codspeed")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sdbatch: *codspeed*"])
    assert not records


def test_codspeed_that_is_only_installed_changes_nothing(project: Path, pytester: pytest.Pytester) -> None:
    """Neither with pytest-benchmark, nor with that switched off."""
    with_theirs, first = run(pytester, "-p", "no:randomly")
    without, second = run(pytester, "-p", "no:randomly", "-p", "no:benchmark")

    with_theirs.assert_outcomes(passed=3)
    without.assert_outcomes(passed=3)
    assert list(first) == list(second) == ["1x1", "2x1", "4x1"]


def test_a_marker_that_nobody_has_declared_is_not_used(project: Path, pytester: pytest.Pytester) -> None:
    """Without pytest-benchmark, and without codspeed, which declares the same marker, strict runs are not disturbed."""
    result, records = run(
        pytester, "-p", "no:benchmark", "-p", "no:codspeed", "-p", "no:randomly", "--strict-markers", "-W", "error"
    )

    result.assert_outcomes(passed=3)
    assert len(records) == 3


def test_filterwarnings_of_a_file_hold_too(project: Path, pytester: pytest.Pytester) -> None:
    """`filterwarnings = error` meets no warning of ours, in one process or several."""
    pytester.makeini("[pytest]\nfilterwarnings = error\n")

    alone, _ = run(pytester, "-p", "no:randomly")
    together, records = run(pytester, "-p", "no:randomly", "-n", "2")

    alone.assert_outcomes(passed=3)
    together.assert_outcomes(passed=3)
    assert {record.parallel for record in records.values()} == {2}


def test_all_of_them_at_once(project: Path, pytester: pytest.Pytester) -> None:
    """Coverage, random order, reruns, a time limit and workers together give the same records."""
    result, records = run(
        pytester, "--cov=.", "-p", "randomly", "--randomly-seed=7", "--reruns=1", "--timeout=60", "-n", "2"
    )

    result.assert_outcomes(passed=3)
    assert [record.outcome for record in records.values()] == [Outcome.OK] * 3
