"""How a case ends, and what pytest makes of it."""

from __future__ import annotations

import pytest
from benchmark_run import RunBenchmark

from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.records import StopReason


def test_an_out_of_memory_case_is_a_row_not_a_crash(run_benchmark: RunBenchmark) -> None:
    """A batch size that does not fit is reported as oom; larger ones are skipped with that reason."""
    result = run_benchmark("--sd-batch-sizes=1,2,4,8", device=FakeDevice(capacity_images=2))

    assert result.outcomes == {"b1x1": "ok", "b2x1": "ok", "b4x1": "oom", "b8x1": "skipped"}
    result.run.assert_outcomes(passed=2, skipped=2)
    assert "batch size 4 ran out of memory" in result.text
    assert result.run.ret == 0


def test_smaller_sizes_are_measured_after_one_ran_out_of_memory(run_benchmark: RunBenchmark) -> None:
    """Only larger sizes are skipped, in whatever order they were written."""
    result = run_benchmark("--sd-batch-sizes=8,4,2,16", device=FakeDevice(capacity_images=3))

    assert result.outcomes == {"b8x1": "oom", "b4x1": "oom", "b2x1": "ok", "b16x1": "skipped"}


def test_after_oom_try_measures_larger_sizes_too(run_benchmark: RunBenchmark) -> None:
    """after_oom=try runs every size."""
    result = run_benchmark("--sd-batch-sizes=1,4,8", "-o", "sd_after_oom=try", device=FakeDevice(capacity_images=2))

    assert result.outcomes == {"b1x1": "ok", "b4x1": "oom", "b8x1": "oom"}


def test_one_test_running_out_of_memory_does_not_skip_another(run_benchmark: RunBenchmark) -> None:
    """What does not fit one test may fit the next."""
    source = """
        def test_a(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)

        def test_b(sd_benchmark, fake_device):
            sd_benchmark(lambda batch: [[[0.0, 1.0]]] * batch.size)
    """
    result = run_benchmark("--sd-batch-sizes=4,8", source=source, device=FakeDevice(capacity_images=2))

    result.run.assert_outcomes(passed=2, skipped=2)


def test_what_is_reported_is_what_it_took(run_benchmark: RunBenchmark) -> None:
    """On a clock without noise a case of 10 ms a call and 100 ms an image reads exactly that, per round and call."""
    device = FakeDevice(seconds_per_call=0.01, seconds_per_image=0.1)
    result = run_benchmark("--sd-batch-sizes=4", "--sd-batch-counts=3", device=device)

    (record,) = result.records.values()
    assert [round_.wall_s for round_ in record.rounds] == pytest.approx([1.23] * 5, rel=1e-9)
    assert record.rounds[0].call_s == pytest.approx([0.41] * 3, rel=1e-9)
    assert record.stopped is StopReason.PRECISION


def test_the_cold_start_is_reported_apart(run_benchmark: RunBenchmark) -> None:
    """What only the first call takes is in cold_start_s and in no round."""
    device = FakeDevice(seconds_per_call=0.01, seconds_per_image=0.1, first_call_extra_s=3.0)
    result = run_benchmark("--sd-batch-sizes=1", device=device)

    (record,) = result.records.values()
    assert record.cold_start_s.value == pytest.approx(3.11)
    assert max(round_.wall_s for round_ in record.rounds) < 0.2


def test_a_warm_shape_is_not_warmed_up_again(run_benchmark: RunBenchmark) -> None:
    """The second batch count of a batch size starts with its rounds and says why it has no cold start."""
    result = run_benchmark("--sd-batch-sizes=2", "--sd-batch-counts=1,4")

    first, second = result.records.values()
    assert first.warmup_s
    assert second.warmup_s == ()
    assert second.cold_start_s.value is None
    assert second.cold_start_s.reason


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("np.full((batch.size, 8, 8, 3), 0.5)", "constant"),
        ("np.full((batch.size, 8, 8, 3), np.nan)", "finite"),
        ("np.random.rand(batch.size + 1, 64, 64, 3)", "images"),
    ],
)
def test_a_wrong_output_fails_and_never_counts_as_fast(run_benchmark: RunBenchmark, returned: str, said: str) -> None:
    """Constant, non-finite or too many images make the outcome invalid-output: a failed test without a speed."""
    source = f"""
        import numpy as np

        def test_wrong(sd_benchmark):
            sd_benchmark(lambda batch: {returned})
    """
    result = run_benchmark("--sd-batch-sizes=2", source=source)

    assert result.outcomes == {"b2x1": "invalid-output"}
    result.run.assert_outcomes(failed=1)
    assert said in result.text
    assert "images/s" not in result.text.split("pytest-sdbatch ====")[-1].split("b2x1")[1].splitlines()[0]


def test_an_exception_of_the_target_is_a_crashed_row_and_a_failed_test(run_benchmark: RunBenchmark) -> None:
    """The user sees the own traceback; the rounds before it are kept; the next case is measured."""
    source = """
        def test_breaks(sd_benchmark, fake_device):
            calls = []

            def generate(batch):
                calls.append(batch)
                if batch.size == 1 and len(calls) > 4:
                    raise ZeroDivisionError("the fifth call")
                return fake_device.generate(batch)

            sd_benchmark(generate)
    """
    result = run_benchmark("--sd-batch-sizes=1,2", source=source)

    assert result.outcomes == {"b1x1": "crashed", "b2x1": "ok"}
    result.run.assert_outcomes(passed=1, failed=1)
    assert "ZeroDivisionError: the fifth call" in result.text
    assert "raise ZeroDivisionError" in result.text
    assert len(next(iter(result.records.values())).rounds) == 2


def test_skipping_inside_the_target_is_a_skipped_row(run_benchmark: RunBenchmark) -> None:
    """pytest.skip() in the measured function skips the test and keeps a record with its reason."""
    source = """
        import pytest

        def test_skips(sd_benchmark):
            sd_benchmark(lambda batch: pytest.skip("not on a Monday"))
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    assert result.outcomes == {"b1x1": "skipped"}
    result.run.assert_outcomes(skipped=1)
    assert "not on a Monday" in result.text


def test_a_test_that_fails_after_measuring_is_marked(run_benchmark: RunBenchmark) -> None:
    """Its record keeps its rounds and says that the test failed, so that it is no baseline."""
    source = """
        def test_fails(sd_benchmark, fake_device):
            images = sd_benchmark(fake_device.generate)
            assert images is None
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    (record,) = result.records.values()
    assert record.rounds
    assert record.test_outcome == "failed"
    assert not record.fit_for_baseline


def test_a_tear_down_that_fails_marks_the_record_too(run_benchmark: RunBenchmark) -> None:
    """A fixture that breaks after measuring leaves no sound record."""
    source = """
        import pytest

        @pytest.fixture
        def breaks():
            yield
            raise RuntimeError("tear-down")

        def test_it(sd_benchmark, fake_device, breaks):
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    (record,) = result.records.values()
    assert record.test_outcome == "failed"


def test_a_second_measurement_in_one_test_is_refused(run_benchmark: RunBenchmark) -> None:
    """sd_benchmark measures once: a second call says so."""
    source = """
        def test_twice(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    result.run.assert_outcomes(failed=1)
    assert "once in a test" in result.text


def test_a_target_that_is_neither_pipeline_nor_callable_is_refused(run_benchmark: RunBenchmark) -> None:
    """The message says what may be given."""
    source = """
        def test_wrong(sd_benchmark):
            sd_benchmark(42)
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    result.run.assert_outcomes(failed=1)
    assert "neither a diffusers pipeline nor a callable" in result.text


def test_a_benchmark_that_never_measures_fails(run_benchmark: RunBenchmark) -> None:
    """A test that asks for sd_benchmark and does not call it is told so, and is a row."""
    result = run_benchmark("--sd-batch-sizes=1", source="def test_it(sd_benchmark): pass")

    result.run.assert_outcomes(failed=1)
    assert "never called" in result.text
    assert result.outcomes == {"b1x1": "crashed"}


def test_what_ends_before_measuring_is_a_row(run_benchmark: RunBenchmark) -> None:
    """A skipped benchmark and one whose own fixture fails are rows with their reasons, not absences."""
    source = """
        import pytest

        @pytest.fixture
        def broken():
            raise OSError("no such app")

        @pytest.mark.skip(reason="not today")
        def test_a(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)

        @pytest.mark.sdbatch(models="app")
        def test_b(sd_benchmark, broken):
            sd_benchmark(broken)
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    assert sorted(str(record.outcome) for record in result.records.values()) == ["crashed", "skipped"]
    assert {record.reason for record in result.records.values()} >= {"not today"}
    assert "no such app" in result.text


def test_an_expected_failure_is_counted_as_pytest_counts_it(run_benchmark: RunBenchmark) -> None:
    """A test marked xfail stays xfailed, and -ra shows it."""
    source = """
        import pytest

        @pytest.mark.xfail
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
            assert False
    """
    result = run_benchmark("-ra", "--sd-batch-sizes=1", source=source)

    result.run.assert_outcomes(xfailed=1)


def test_a_failed_test_is_called_failed(run_benchmark: RunBenchmark) -> None:
    """What pytest says in -v and in its summary is FAILED, also where the measurement was fine."""
    source = """
        def test_it(sd_benchmark, fake_device):
            assert not len(sd_benchmark(fake_device.generate))
    """
    result = run_benchmark("-v", "--sd-batch-sizes=1", source=source)

    assert "b1x1] FAILED" in result.text
    assert "FAILED test_it.py" in result.text


def test_a_traceback_shows_the_users_code_and_not_ours(run_benchmark: RunBenchmark) -> None:
    """Between the test and the target there is nothing of the plugin."""
    source = """
        def test_it(sd_benchmark):
            sd_benchmark(lambda batch: 1 / 0)
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    assert "ZeroDivisionError" in result.text
    assert "loop.py" not in result.text
    assert "session.py" not in result.text


def test_a_minus_sign_of_the_users_own_parameter_is_kept(run_benchmark: RunBenchmark) -> None:
    """[-1] and [1] are two tests with two records."""
    source = """
        import pytest

        @pytest.mark.parametrize("shift", [-1, 1])
        def test_it(sd_benchmark, fake_device, shift):
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-batch-sizes=1", "--sd-report=run.json", source=source)

    assert "test_it[-1]" in result.text
    assert "test_it[1]" in result.text


def test_an_idle_call_under_benchmark_disable_is_looked_at(run_benchmark: RunBenchmark) -> None:
    """The check that benchmarks have not rotted looks at the images too."""
    source = """
        import numpy as np

        def test_black(sd_benchmark):
            sd_benchmark(lambda batch: np.zeros((batch.size, 64, 64, 3)))
    """
    result = run_benchmark("--benchmark-disable", source=source)

    result.run.assert_outcomes(failed=1)
    assert "constant" in result.text


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="subtests came with pytest 9")
def test_a_failed_subtest_fails_the_record(run_benchmark: RunBenchmark) -> None:
    """A record of a test with a failed subtest is no baseline, and its case has one line."""
    source = """
        def test_it(sd_benchmark, fake_device, subtests):
            images = sd_benchmark(fake_device.generate)
            with subtests.test(msg="one"):
                assert images is None
    """
    result = run_benchmark("--sd-batch-sizes=1", "--sd-save=main", source=source)

    (record,) = result.records.values()
    assert record.test_outcome == "failed"
    assert result.text.count("[1/1]") == 1


def test_asking_for_the_pipeline_while_running_is_answered(run_benchmark: RunBenchmark) -> None:
    """The grid is made before a test runs, so the pipeline has to be an argument."""
    source = """
        def test_it(sd_benchmark, request):
            sd_benchmark(request.getfixturevalue("sd_pipeline"))
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    result.run.assert_outcomes(failed=1)
    assert "must be an argument of the test" in result.text
