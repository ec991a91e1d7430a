"""What a run says of its tests while it runs: how many are measured, which one it was, and why one was not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from benchmark_run import Keeper, RunBenchmark

from pytest_sdbatch.devices.fake import FakeDevice

SHORT = ("-p", "no:cacheprovider", "-o", "sd_rounds=3", "-o", "sd_warmup_calls=1", "--sd-device=cpu")
TEXT_TO_IMAGE = """
    def test_it(sd_benchmark, sd_pipeline):
        sd_benchmark(sd_pipeline)
"""


def progress(text: str) -> list[str]:
    """Return the lines of finished cases."""
    return [line for line in text.splitlines() if line.startswith("[")]


def test_only_what_will_be_measured_is_counted(run_benchmark: RunBenchmark) -> None:
    """A test that asks for the case alone runs at each point of the grid, is no case, and is told of once."""
    source = """
        def test_a(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)

        def test_b(sd_case):
            assert sd_case.batch_size
    """
    result = run_benchmark("--sd-batch-sizes=1,4", source=source)

    result.run.assert_outcomes(passed=4)
    assert "sdbatch: 2 cases: " in result.text
    assert "sdbatch: 2 tests with sd_pipeline or sd_case, but without sd_benchmark: run, not measured" in result.text
    assert len(progress(result.text)) == 2


def test_a_run_without_a_benchmark_says_that_nothing_is_measured(run_benchmark: RunBenchmark) -> None:
    """It passes, but not silently."""
    result = run_benchmark("--sd-batch-sizes=1", source="def test_b(sd_case): pass")

    result.run.assert_outcomes(passed=1)
    assert "1 test with sd_pipeline or sd_case, but without sd_benchmark: run, not measured" in result.text
    assert "case:" not in result.text


@pytest.mark.parametrize(("tests", "named"), [(("a",), False), (("a", "b"), True)])
def test_a_line_names_the_test_where_the_case_alone_does_not_tell(
    run_benchmark: RunBenchmark, tests: tuple[str, ...], named: bool
) -> None:
    """Two tests of one model measure the same cases."""
    measured = "def test_{}(sd_benchmark, fake_device): sd_benchmark(fake_device.generate)\n"
    source = "import pytest\npytestmark = pytest.mark.sdbatch(models='app')\n"
    source += "".join(measured.format(name) for name in tests)

    lines = progress(run_benchmark("--sd-batch-sizes=1", source=source).text)

    assert len(lines) == len(tests)
    assert all((f"test_{name} app-own" in line) == named for name, line in zip(tests, lines, strict=True))


def test_a_function_that_takes_no_batch_is_told_what_it_gets(run_benchmark: RunBenchmark) -> None:
    """The error is ours, and has no traceback of ours."""
    result = run_benchmark("--sd-batch-sizes=1", source="def test_it(sd_benchmark): sd_benchmark(lambda: None)")

    result.run.assert_outcomes(failed=1)
    assert "<lambda>() cannot be called with a batch" in result.text
    assert "lambda batch: ..." in result.text
    assert "crashed: ModelError" not in result.text


def test_a_test_that_fails_itself_has_its_reason_once(run_benchmark: RunBenchmark) -> None:
    """The class of a user's exception is kept, that of pytest's own is no news."""
    source = """
        import pytest

        def test_a(sd_benchmark):
            pytest.fail("no weights")

        def test_b(sd_benchmark):
            raise OSError("no disk")
    """
    lines = progress(run_benchmark("--sd-batch-sizes=1", source=source).text)

    assert "  crashed: no weights" in lines[0]
    assert "  crashed: OSError: no disk" in lines[1]


def test_the_header_says_that_a_marker_wins_over_the_file(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """What stands in the file is no promise for a test with a marker."""
    pytester.makeini("[pytest]\nsd_batch_sizes = 1,2\n")

    text = run_benchmark("--sd-steps=2").text

    assert "given: sd_batch_sizes=1,2 --sd-steps=2; markers over the file, the rest by marker or default" in text


def test_a_device_that_torch_does_not_know_loads_no_model(run_benchmark: RunBenchmark) -> None:
    """It is refused before any test runs, with what such a device is for."""
    result = run_benchmark(source=TEXT_TO_IMAGE)

    assert result.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "no model can be loaded on the device 'fake'" in result.text
    assert "sd_benchmark(lambda batch: ...)" in result.text
    assert "Traceback" not in result.text


@pytest.mark.parametrize(
    ("marker", "options"),
    [("foreign_processes='fail'", []), ("", ["-o", "sd_foreign_processes=fail"])],
)
@pytest.mark.parametrize("told", [True, False])
def test_a_guard_that_can_see_nothing_is_said(
    run_benchmark: RunBenchmark, marker: str, options: list[str], told: bool
) -> None:
    """On a CPU, or where the driver does not tell, nobody may take a run that passed for one that was alone."""
    source = f"""
        import pytest

        @pytest.mark.sdbatch({marker})
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    device = FakeDevice()
    if told:
        device.sensors.neighbours = 0

    result = run_benchmark("--sd-batch-sizes=1", *options, source=source, device=device)

    result.run.assert_outcomes(passed=1)
    assert result.text.count("foreign_processes=fail guards nothing here") == (0 if told else 1)


@pytest.fixture
def run_real(pytester: pytest.Pytester) -> Callable[..., tuple[pytest.RunResult, Keeper]]:
    """Run a benchmark of tiny-sd on the CPU, briefly."""

    def run(*arguments: str) -> tuple[pytest.RunResult, Keeper]:
        pytester.makepyfile(test_it=TEXT_TO_IMAGE)
        keeper = Keeper()
        return pytester.runpytest_inprocess(*SHORT, "--sd-batch-sizes=1", *arguments, plugins=[keeper]), keeper

    return run


def test_a_variant_that_a_model_or_machine_cannot_run_is_skipped(
    run_real: Callable[..., tuple[pytest.RunResult, Keeper]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are rows with their reason in one line, and the run is green: the other variants are measured."""
    monkeypatch.setenv("COLUMNS", "100")
    result, keeper = run_real("--sd-variants=eager,attn:native,model-offload")

    result.assert_outcomes(passed=1, skipped=2)
    assert result.ret == 0
    reasons = {record.case.variant: record.reason or "" for record in keeper.records.values()}
    assert reasons["model-offload"].startswith("variant model-offload cannot run on cpu: it moves parameters")
    assert "; do: leave it out on a CPU" in reasons["model-offload"]
    assert "does not go through these back ends; do: leave attn:native out" in reasons["attn:native"]
    assert all(len(line) <= 100 for line in progress(result.stdout.str()))


def test_a_variant_that_means_nothing_on_any_machine_is_refused(
    run_real: Callable[..., tuple[pytest.RunResult, Keeper]],
) -> None:
    """A cache that skips work by values says nothing with random weights: known before work, so said before it."""
    result, _ = run_real("--sd-variants=eager,cache:first-block")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "variant cache:first-block is not measured with random weights" in result.stderr.str()
