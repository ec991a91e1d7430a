"""What a run leaves behind: --sd-report, --sd-save, and what happens where it cannot."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from benchmark_run import RunBenchmark
from real_processes import conftest

from pytest_sdbatch import Outcome, read_run_file
from pytest_sdbatch.devices.fake import FakeDevice


def test_a_report_holds_every_record(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """The file gives back the records that the table showed, out-of-memory rows included."""
    target = tmp_path / "run.json"

    result = run_benchmark("--sd-batch-sizes=1,2,4", f"--sd-report={target}", device=FakeDevice(capacity_images=2))

    (run,) = read_run_file(target)
    assert [record.case.id for record in run.records] == list(result.records)
    assert [record.outcome for record in run.records] == [Outcome.OK, Outcome.OK, Outcome.OOM]
    assert not run.interrupted
    assert run.options["batch_sizes"] == "1,2,4"
    assert str(target) in result.text


def test_pytest_benchmarks_own_reader_takes_the_file(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """Every row has the numbers that pytest-benchmark and the tools around it ask for."""
    target = tmp_path / "run.json"
    run_benchmark("--sd-batch-sizes=1,4", f"--sd-report={target}")

    rows = json.loads(target.read_text())["benchmarks"]

    assert [row["params"]["sd_batch_size"] for row in rows] == [1, 4]
    assert all(row["stats"]["ops"] == pytest.approx(1 / row["stats"]["mean"]) for row in rows)
    assert all(len(row["stats"]["data"]) == row["stats"]["rounds"] for row in rows)


def test_saving_makes_a_baseline_by_name_and_device(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """--sd-save=main writes benchmarks/baselines/main/<device>-<hash>.json, once."""
    first = run_benchmark("--sd-save=main")
    second = run_benchmark("--sd-save=main")

    (written,) = (pytester.path / "benchmarks" / "baselines" / "main").iterdir()
    assert written.suffix == ".json"
    assert first.run.ret == 0
    assert second.run.ret == 4
    assert "exists" in second.text


def test_a_run_with_a_failed_test_is_no_baseline(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """The file is not written, the end says why, and the run stays red."""
    source = """
        def test_fails(sd_benchmark, fake_device):
            assert not sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-save=main", source=source)

    assert result.run.ret == 1
    assert "was not written" in result.text
    assert not list(pytester.path.glob("benchmarks/**/*.json"))


def test_a_noisy_run_is_a_baseline_only_when_forced(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """What the table says not to rely on is nothing to compare with; the reason names the case."""
    arguments = ("--sd-batch-sizes=1", "--sd-save=main")

    refused = run_benchmark(*arguments, device=FakeDevice(noise=(1.0, 2.0, 0.5, 3.0)))
    assert refused.run.ret == 1
    assert "-b1x1 (" in refused.text.partition("differ a lot (was the machine busy?)")[2]
    assert not list(pytester.path.glob("benchmarks/**/*.json"))

    forced = run_benchmark(*arguments, "-o", "sd_save_anyway=yes", device=FakeDevice(noise=(1.0, 2.0, 0.5, 3.0)))
    assert forced.run.ret == 0
    assert "(no good one: the rounds of 1 case differ a lot" in forced.text
    assert list(pytester.path.glob("benchmarks/baselines/main/*.json"))


@pytest.mark.slow
def test_an_interrupted_run_is_no_baseline_but_a_marked_report(pytester: pytest.Pytester) -> None:
    """Ctrl-C keeps the finished cases in the report, marked as interrupted, and saves no baseline."""
    pytester.makeconftest(conftest())
    pytester.makepyfile(
        """
        def test_it(sd_benchmark, fake_device):
            def generate(batch):
                if batch.size == 4:
                    raise KeyboardInterrupt
                return fake_device.generate(batch)

            sd_benchmark(generate)
        """
    )

    result = pytester.runpytest_subprocess(
        "-W", "error", "--sd-batch-sizes=1,4,8", "--sd-report=run.json", "--sd-save=main"
    )

    (run,) = read_run_file(pytester.path / "run.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert run.interrupted
    assert [record.case.batch_size for record in run.records] == [1]
    result.stdout.fnmatch_lines(["*was not written*", "*was interrupted*"])


def test_stopping_at_the_first_failure_is_an_interrupted_run(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """-x leaves cases unmeasured, so the file says that the run is not whole."""
    source = """
        def test_fails(sd_benchmark, fake_device):
            assert not sd_benchmark(fake_device.generate)
    """
    target = tmp_path / "run.json"

    run_benchmark("-x", "--sd-batch-sizes=1,4", f"--sd-report={target}", source=source)

    (run,) = read_run_file(target)
    assert run.interrupted


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_an_unwritable_folder_is_refused_before_measuring(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """The folder's permission is looked at when pytest is configured."""
    tmp_path.chmod(0o500)

    result = run_benchmark(f"--sd-report={tmp_path / 'run.json'}")

    assert result.run.ret == 4


def test_a_file_that_appears_while_measuring_is_left_alone(run_benchmark: RunBenchmark, tmp_path: Path) -> None:
    """Nothing is overwritten: the run turns red, says so, and still shows its table."""
    target = tmp_path / "run.json"
    source = f"""
        import pathlib

        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
            pathlib.Path({str(target)!r}).write_text("mine")
    """
    result = run_benchmark("--sd-batch-sizes=1", f"--sd-report={target}", source=source)

    assert target.read_text() == "mine"
    assert result.run.ret == 1
    assert "ERROR" in result.text
    assert "images/s" in result.text


def test_names_that_could_do_harm_stay_inside(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """Control characters, markup and paths in a model's name break neither the table nor leave the folder."""
    source = """
        import pytest

        NAMES = ["../../up", "a[b]c", "<img onerror=alert(1)>", "x\\x1b[31mred"]
        NAMES += ["q\\u202eright", "[b]bold[/b]", "z\\x00\\x07"]

        @pytest.mark.sdbatch(models=NAMES, batch_sizes=1)
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    before = set(pytester.path.parent.rglob("*"))

    result = run_benchmark("--sd-report=run.json", "--junitxml=junit.xml", "--sd-save=n", source=source)

    result.run.assert_outcomes(passed=7)
    new = {path for path in set(pytester.path.parent.rglob("*")) - before if "__pycache__" not in path.parts}
    assert all(path.is_relative_to(pytester.path) for path in new)
    assert not any(ord(character) < 32 and character != "\n" for character in result.text)
    assert "\u202e" not in result.text
    assert len(read_run_file(pytester.path / "run.json")[0].records) == 7


def test_a_skipped_benchmark_does_not_make_a_run_interrupted(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """A run in which every benchmark ended, one way or another, is whole and may be a baseline."""
    source = """
        import pytest

        def test_a(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)

        @pytest.mark.skip(reason="not here")
        def test_b(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-batch-sizes=1", "--sd-save=main", source=source)

    assert result.run.ret == 0
    assert list(pytester.path.glob("benchmarks/baselines/main/*.json"))


def test_a_file_that_was_typed_for_and_has_nothing_to_hold_turns_the_run_red(run_benchmark: RunBenchmark) -> None:
    """A CI step that waits for the file must not be told that all is well."""
    result = run_benchmark("--sd-report=run.json", source="def test_plain(): pass")

    assert result.run.ret == 1
    assert "no run file was written" in result.text


def test_a_file_named_by_the_configuration_is_no_matter_of_plain_tests(pytester: pytest.Pytester) -> None:
    """Unit tests of a project whose configuration names a report, or a device that is not there, stay as they are."""
    pytester.makeini("[pytest]\nsd_report = run.json\nsd_device = cuda:7")

    pytester.makepyfile("def test_plain(benchmark): benchmark(int)")

    # No fake device here: opening the one that is named would be an error.
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--benchmark-json=b.json")

    assert result.ret == 0
    assert (pytester.path / "b.json").exists()


def test_tests_that_only_ask_for_the_case_do_not_count_as_missing(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """A test without sd_benchmark is no benchmark: the run is whole without it."""
    source = """
        def test_a(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)

        def test_b(sd_case):
            pass
    """
    result = run_benchmark("--sd-batch-sizes=1", "--sd-save=main", source=source)

    assert result.run.ret == 0
    assert list(pytester.path.glob("benchmarks/baselines/main/*.json"))


@pytest.mark.parametrize("line", ["sd_save = ../x", "sd_report = taken.json", "sd_rounds = 2", "sd_max_rounds = 3"])
def test_what_a_file_says_is_checked_before_measuring(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester, line: str
) -> None:
    """A target or a rule of the configuration that cannot be ends the run once a benchmark was collected."""
    (pytester.path / "taken.json").write_text("mine")
    pytester.makeini(f"[pytest]\n{line}")

    result = run_benchmark("--sd-batch-sizes=1")

    assert result.run.ret == 4
    assert result.records == {}
    assert "Traceback" not in result.text
