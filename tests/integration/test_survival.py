"""Runs that are killed: what is kept, what --sd-resume runs, and what it refuses; docs/how-to/long-runs.md."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmark_run import GENERATE, RunBenchmark

from pytest_sdbatch import read_run_file
from pytest_sdbatch.storage.journal import newest_first, read_journal

# A device without a card, and a benchmark that waits at one batch size until it is killed.
CONFTEST = """
    import os, signal, time
    from pathlib import Path

    import pytest
    from pytest_sdbatch.devices.fake import FakeDevice

    DEVICE = FakeDevice(capacity_images=8)

    def pytest_sdbatch_make_device(name):
        return DEVICE

    @pytest.fixture
    def generate(sd_case):
        if str(sd_case.batch_size) == os.environ.get("WAIT_AT"):
            Path("waiting").touch()
            time.sleep(60)
        return DEVICE.generate
"""
BENCHMARK = """
    def test_generate(sd_benchmark, generate):
        sd_benchmark(generate)
"""
SIZES = "--sd-batch-sizes=1,2,4,8"


@pytest.fixture
def project(pytester: pytest.Pytester, few_plugins: None) -> Path:
    """Return a folder with a benchmark whose process can be killed at a batch size."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=BENCHMARK)
    return pytester.path


def kill_at(project: Path, size: int, number: signal.Signals, *arguments: str) -> int:
    """Run the benchmarks, send the signal when batch size *size* has begun, and return the exit status."""
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", SIZES, *arguments]
    with subprocess.Popen(command, cwd=project, env={**os.environ, "WAIT_AT": str(size)}, stdout=-3) as process:
        while not (project / "waiting").exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        (project / "waiting").unlink()
        process.send_signal(number)
        return process.wait(timeout=30)


def resume(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the benchmarks again with --sd-resume."""
    return pytester.runpytest_subprocess("-p", "no:randomly", SIZES, "--sd-resume", *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_is_resumed_where_it_was(project: Path, pytester: pytest.Pytester, number: signal.Signals) -> None:
    """Every case that had ended is kept, only the rest is run, and table and file hold all of them, in order."""
    assert kill_at(project, 4, number) != 0

    result = resume(pytester, "--sd-report=run.json", "--sd-save=main")

    assert result.ret == 0
    result.assert_outcomes(passed=2, deselected=2)
    result.stdout.fnmatch_lines(
        ["sdbatch: resuming the run of *: 2 cases kept", "*b1x1 *1.00x *ok (1)", "*b8x1 * - *ok", "(1) kept from the *"]
    )
    (run,) = read_run_file(project / "run.json")
    assert [record.case.batch_size for record in run.records] == [1, 2, 4, 8]
    assert not run.interrupted
    assert run.resumed_from is not None
    assert run.resumed_from != run.id
    assert list(project.glob("benchmarks/baselines/main/*.json"))


@pytest.mark.slow
def test_a_resumed_run_that_is_killed_is_resumed_with_all_before_it(project: Path, pytester: pytest.Pytester) -> None:
    """What was taken over is in the new journal too; when nothing is left the run ends well and runs nothing."""
    kill_at(project, 2, signal.SIGKILL)
    kill_at(project, 8, signal.SIGKILL, "--sd-resume")

    last = resume(pytester, "--sd-report=run.json")

    last.assert_outcomes(passed=1, deselected=3)
    (run,) = read_run_file(project / "run.json")
    assert [record.case.batch_size for record in run.records] == [1, 2, 4, 8]


def test_a_run_that_was_begun_by_mistake_costs_nothing(run_benchmark: RunBenchmark) -> None:
    """Started without --sd-resume and stopped before its first case has ended, it leaves the one before to resume."""
    source = """
        import os

        def test_generate(sd_benchmark, fake_device):
            if str(sd_benchmark.case.batch_size) == os.environ.get("STOP_AT"):
                raise KeyboardInterrupt
            sd_benchmark(fake_device.generate)
    """
    with pytest.MonkeyPatch.context() as patch:
        for size in ("4", "1"):
            patch.setenv("STOP_AT", size)
            stopped = run_benchmark("--sd-batch-sizes=1,2,4", source=source)

    resumed = run_benchmark("--sd-batch-sizes=1,2,4", "--sd-resume", source=source)

    assert "--sd-resume" not in stopped.text
    assert "2 cases kept" in resumed.text
    resumed.run.assert_outcomes(passed=1, deselected=2)


def test_other_prompts_in_the_same_file_are_refused(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """What is kept was made of the prompts that would be used now."""
    source = """
        def test_generate(sd_benchmark, fake_device):
            if sd_benchmark.case.batch_size == 2:
                raise KeyboardInterrupt
            sd_benchmark(fake_device.generate)
    """
    prompts = pytester.path / "prompts.txt"
    arguments = ["--sd-batch-sizes=1,2", "-o", f"sd_prompts={prompts}"]
    prompts.write_text("a cat")
    run_benchmark(*arguments, source=source)
    prompts.write_text("a dog")

    refused = run_benchmark(*arguments, "--sd-resume", source=source)

    assert refused.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "the digest of the prompts of test_it.py::test_generate was" in refused.text


def test_changes_that_are_not_committed_are_said(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """The commit is the same and the code is not: nobody can tell, so that the header does."""
    source = """
        def test_generate(sd_benchmark, fake_device):
            if sd_benchmark.case.batch_size == STOP:
                raise KeyboardInterrupt
            sd_benchmark(fake_device.generate)
    """
    pytester.makepyfile(test_it=source.replace("STOP", "2"))
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], check=True)
    run_benchmark("--sd-batch-sizes=1,2", source=None)

    same = run_benchmark("--sd-batch-sizes=1,2", "--sd-resume", source=None)
    changed = run_benchmark("--sd-batch-sizes=1,2", "--sd-resume", source=source.replace("STOP", "0"))

    assert "not committed" not in same.text
    assert "1 case kept" in changed.text
    assert "changes that are not committed" in changed.text


def test_an_interrupted_run_says_how_to_go_on(run_benchmark: RunBenchmark) -> None:
    """The end names the option, and how many cases are missing; a whole run names none."""
    source = """
        def test_fails(sd_benchmark, fake_device):
            assert not sd_benchmark(fake_device.generate)
    """

    stopped = run_benchmark("-x", "--sd-batch-sizes=1,2,4", source=source)
    whole = run_benchmark()

    assert "interrupted with 2 cases to go: the same command with --sd-resume runs only the rest" in stopped.text
    assert "--sd-resume" not in whole.text


def test_an_interrupted_run_with_a_gate_does_not_name_what_the_gate_refuses(run_benchmark: RunBenchmark) -> None:
    """--sd-gate with --sd-resume is an error: the whole run has to be repeated."""
    source = """
        import pytest

        @pytest.mark.sdbatch(limit={"latency": "1min"})
        def test_fails(sd_benchmark, fake_device):
            assert not sd_benchmark(fake_device.generate)
    """

    stopped = run_benchmark("-x", "--sd-gate", "--sd-batch-sizes=1,2,4", source=source)

    assert "interrupted with 2 cases to go: a gate judges whole runs, so run the same command again" in stopped.text
    assert "--sd-resume" not in stopped.text


def test_a_case_that_failed_is_run_again(run_benchmark: RunBenchmark) -> None:
    """It is not among the kept ones, since its cause may be mended by now."""
    source = """
        import os

        def test_generate(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
            assert "FAIL" not in os.environ or sd_benchmark.case.batch_size != 2
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIL", "1")
        run_benchmark("-x", "--sd-batch-sizes=1,2,4", source=source)

    again = run_benchmark("--sd-batch-sizes=1,2,4", "--sd-resume", source=source)

    again.run.assert_outcomes(passed=2, deselected=1)
    assert "1 case kept" in again.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sd-batch-sizes=1,2,4,8"], "batch_sizes was 1,2,4 and is 1,2,4,8"),
        (["--sd-batch-sizes=1,2,4", "-o", "sd_rounds=3"], "rounds was not given and is 3"),
    ],
)
def test_other_options_are_refused_before_anything_is_measured(
    run_benchmark: RunBenchmark, arguments: list[str], said: str
) -> None:
    """Exit status 4 and the option that moved; nothing is lost, so that the right command still resumes."""
    source = """
        def test_generate(sd_benchmark, fake_device):
            if sd_benchmark.case.batch_size == 4:
                raise KeyboardInterrupt
            sd_benchmark(fake_device.generate)
    """
    run_benchmark("--sd-batch-sizes=1,2,4", source=source)

    refused = run_benchmark(*arguments, "--sd-resume")
    right = run_benchmark("--sd-batch-sizes=1,2,4", "--sd-resume")

    assert refused.run.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--sd-resume: {said}" in refused.text
    assert "2 cases kept" in right.text
    right.run.assert_outcomes(passed=1, deselected=2)


def test_a_marker_that_was_changed_is_refused_with_its_test(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """Options of one test count as those of the run do."""
    source = """
        import pytest

        @pytest.mark.sdbatch(rounds=ROUNDS)
        def test_generate(sd_benchmark, fake_device):
            if sd_benchmark.case.batch_size == 2:
                raise KeyboardInterrupt
            sd_benchmark(fake_device.generate)
    """
    run_benchmark("--sd-batch-sizes=1,2", source=source.replace("ROUNDS", "3"))

    given = ["--sd-batch-sizes=1,2", "--sd-resume", "--sd-report=run.json", "--sd-save=main"]
    refused = run_benchmark(*given, source=source.replace("ROUNDS", "5"))

    assert refused.run.ret == pytest.ExitCode.USAGE_ERROR
    assert "images/s" not in refused.text
    assert not list(pytester.path.rglob("*.json")), "what was kept is no run"
    assert "rounds of test_it.py::test_generate was 3 and is 5" in refused.text


# Ends like a run that was stopped by Ctrl-C, once.
STOPS = """
    import os

    def test_generate(sd_benchmark, fake_device):
        if sd_benchmark.case.batch_size == 4 and not os.path.exists("stopped"):
            open("stopped", "w").close()
            raise KeyboardInterrupt
        sd_benchmark(fake_device.generate)
"""


def test_the_same_command_goes_on_with_its_own_report(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """The file that the stopped run left is completed; any other file in its place is not touched."""
    given = ["--sd-batch-sizes=1,4", "--sd-report=run.json"]
    run_benchmark(*given, source=STOPS)
    (left,) = read_run_file(pytester.path / "run.json")

    went_on = run_benchmark(*given, "--sd-resume", source=None)
    (whole,) = read_run_file(pytester.path / "run.json")
    again = run_benchmark(*given, "--sd-resume", source=None)

    assert left.interrupted
    went_on.run.assert_outcomes(passed=1, deselected=1)
    assert not whole.interrupted
    assert [record.case.batch_size for record in whole.records] == [1, 4]
    assert again.run.ret == pytest.ExitCode.USAGE_ERROR, "a whole run is never written over"
    assert "run.json exists" in again.text
    assert read_run_file(pytester.path / "run.json") == (whole,)


def test_a_kept_case_that_breaks_a_limit_of_now_is_measured_again(run_benchmark: RunBenchmark) -> None:
    """Else a size would be recommended that keeps no limit."""
    stopped = run_benchmark("--sd-batch-sizes=1,4", source=STOPS)

    went_on = run_benchmark("--sd-batch-sizes=1,4", "--sd-resume", "--sd-limit=latency:1ms", source=None)

    assert "[1/2]" in stopped.text
    assert "of these 1 case now over a limit: measured again" in went_on.text
    went_on.run.assert_outcomes(skipped=2)
    assert "over-limit" in went_on.text
    assert "kept from" not in went_on.text


def test_a_run_of_other_tests_is_left_alone(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """Another command neither takes over the records of a stopped run, nor takes its place as the one to resume."""
    pytester.makepyfile(test_other=GENERATE)
    run_benchmark("--sd-batch-sizes=1,4", "test_it.py", source=STOPS)

    other = run_benchmark("--sd-batch-sizes=1,4", "test_other.py", "--sd-resume", "--sd-report=other.json", source=None)
    (kept,) = read_run_file(pytester.path / "other.json")
    went_on = run_benchmark("--sd-batch-sizes=1,4", "test_it.py", "--sd-resume", source=None)

    assert "nothing to resume: the last run was asked for other tests (test_it.py)" in other.text
    assert {record.test for record in kept.records} == {"test_other.py::test_generate"}
    went_on.run.assert_outcomes(passed=1, deselected=1)


def test_a_stopped_run_is_no_baseline_and_says_how_to_become_one(run_benchmark: RunBenchmark) -> None:
    """Nothing is marked in its table; what it lacks is the rest."""
    stopped = run_benchmark("--sd-batch-sizes=1,4", "--sd-save=main", source=STOPS)

    assert "why: the run was interrupted" in stopped.text
    assert "go on with it by --sd-resume" in stopped.text


def test_without_an_interrupted_run_everything_is_run(run_benchmark: RunBenchmark) -> None:
    """As with pytest's --last-failed: the header says why, and a loop around the command needs no first time."""
    first = run_benchmark("--sd-batch-sizes=1,2", "--sd-resume")
    second = run_benchmark("--sd-batch-sizes=1,2", "--sd-resume")

    first.run.assert_outcomes(passed=2)
    second.run.assert_outcomes(passed=2)
    assert "nothing to resume: no case has ended here" in first.text
    assert "ended whole" in second.text


def test_the_journal_holds_what_the_table_shows(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """One form of record everywhere: the journal has the records of the run, with how their tests ended."""
    result = run_benchmark("--sd-batch-sizes=1,2")

    path = newest_first(pytester.path / ".sdbatch")[0]
    assert path is not None
    stored = read_journal(path)
    assert stored is not None
    assert stored.whole
    assert {entry.record.case.id: entry.record for entry in stored.entries} == result.records


def test_a_run_that_measures_nothing_writes_no_journal(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """Neither an ordinary test run, nor a plan, nor a check without measuring."""
    run_benchmark(source="def test_plain(): pass")
    run_benchmark("--sd-plan")
    run_benchmark("--benchmark-disable")

    assert not (pytester.path / ".sdbatch").exists()


def test_a_journal_that_cannot_be_written_is_said_once(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """The run itself is not harmed: its table and its exit status are as always."""
    (pytester.path / ".sdbatch").write_text("a file in the way")

    result = run_benchmark("--sd-batch-sizes=1,2")

    result.run.assert_outcomes(passed=2)
    assert result.run.ret == 0
    assert result.text.count("ERROR: ") == 1
    assert "the run goes on" in result.text
