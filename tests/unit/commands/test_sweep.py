"""``sdbatch sweep`` in several processes, run as a user would: real processes on a device with a virtual clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from real_processes import SDBATCH, call, conftest, make_project, wait_for

from pytest_sdbatch import read_run_file

COMMAND = (*SDBATCH, "sweep")
# From its second process on: the second case waits to be stopped.
WAITS = """
import time
from pathlib import Path

def test_it(sd_benchmark, fake_device, sd_case):
    if sd_case.batch_size == 2 and Path("second").exists():
        Path("waiting").touch()
        time.sleep(60)
    sd_benchmark(fake_device.generate)
    if sd_case.batch_size == 2:
        Path("second").touch()
"""
# Fails in its first process.
FAILS = """
from pathlib import Path

def test_it(sd_benchmark, fake_device):
    sd_benchmark(fake_device.generate)
    again = Path("again").exists()
    Path("again").touch()
    assert again
"""
# Takes, in its first process, the place where the baseline was to be.
TAKES = """
from pathlib import Path

def test_it(sd_benchmark, fake_device):
    sd_benchmark(fake_device.generate)
    Path("benchmarks/baselines").mkdir(parents=True, exist_ok=True)
    Path("benchmarks/baselines/main").touch()
"""
# Waits to be stopped when a run is written to it.
SLOW = """
import time
from pathlib import Path
import fsspec
import fsspec.implementations.memory

class Slow(fsspec.implementations.memory.MemoryFileSystem):
    protocol = "slow"

    def pipe_file(self, path, value, **options):
        if not path.endswith("/may-write"):
            Path("waiting").touch()
            time.sleep(60)

fsspec.register_implementation("slow", Slow)
"""
PLAIN = ("-p", "no:randomly", "-p", "no:cacheprovider")


@pytest.fixture
def project(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, few_plugins: None
) -> Path:
    """Make a project with one benchmark; what is kept elsewhere is kept where it can be looked at."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("kept")))
    return make_project(tmp_path, conftest=conftest())


def sweep(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*."""
    return call(folder, *COMMAND, *words)


def left_over() -> list[Path]:
    """Return the folders in which processes handed in."""
    return list(Path(os.environ["TMPDIR"]).glob("sdbatch-*"))


@pytest.mark.slow
def test_the_runs_of_several_processes_are_one_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run for each process, whole, for --sd-report and --sd-save alike, answered together; nothing else is left.

    What a file holds a plain run to is not looked for. In a job of GitHub Actions they have one summary, not one each.
    """
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    (project / "pytest.ini").write_text("[pytest]\nsd_baseline = none\nsd_gate = yes\n")
    done = sweep(
        project, "--processes", "2", *PLAIN, "--sd-report=run.json", "--", "test_it.py", "--sd-batch-sizes=1,2",
        "--sd-save=main", "--sd-images=2",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    runs = read_run_file(project / "run.json")
    assert len({run.id for run in runs}) == 2
    assert [[r.case.batch_size for r in run.records] for run in runs] == [[1, 2], [1, 2]]
    assert not any(run.interrupted for run in runs)
    (stored,) = (project / "benchmarks" / "baselines" / "main").iterdir()
    assert read_run_file(stored) == runs
    assert "sdbatch: process 2 of 2" in done.stdout
    assert done.stdout.splitlines()[-3] == f"sdbatch: run file: {project / 'run.json'} (2 of 2 processes ended whole)"
    assert "run file" not in "".join(done.stdout.splitlines(keepends=True)[:-3])
    assert done.stdout.splitlines()[-1].startswith("sdbatch: of 2 runs: test_it fp32-64x64-s4: 2 images: ")
    assert (project / "summary.md").read_text().startswith("## sdbatch: 2 runs\n\n**2 cases: 2 ok**\n")
    assert (project / "summary.md").read_text().count("##") == 1
    assert left_over() == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the console tells all its processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_had_ended_when_it_was_stopped_is_kept(project: Path, number: signal.Signals) -> None:
    """The first run is whole, the second marked as interrupted; no baseline is written, and no process stays."""
    (project / "test_it.py").write_text(WAITS)
    words = ("--processes=3", *PLAIN, "--sd-report=run.json", "--sd-save=main", "--", "--sd-batch-sizes=1,2")
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(project / "waiting", process)
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(number)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    first, second = read_run_file(project / "run.json")
    assert (len(first.records), first.interrupted) == (2, False)
    assert (len(second.records), second.interrupted) == (1, True)
    assert "process 3 of 3" not in output
    assert "--sd-resume" not in output
    assert "no baseline main was written\n  why: 1 of 3 processes ended whole" in output
    assert children
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert left_over() == []


@pytest.mark.slow
def test_a_failure_is_the_exit_status_and_no_baseline(project: Path) -> None:
    """The processes behind it run all the same; what they made is kept, and the end says where."""
    (project / "test_it.py").write_text(FAILS)

    done = sweep(project, "--processes=2", *PLAIN, "--sd-save=main", "--", "--sd-batch-sizes=1")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "sdbatch: process 2 of 2" in done.stdout
    assert "run 1 of 2: 1 of its cases cannot be compared with later" in done.stderr
    assert not (project / "benchmarks").exists()
    last, rescue = done.stderr.splitlines()[-2:]
    assert rescue == f"  as one file: sdbatch merge {last.removeprefix('kept: ')} -o NEW.json"
    kept = [Path(word) for word in last.removeprefix("kept: ").split()]
    assert [run.records[0].test_outcome for path in kept for run in read_run_file(path)] == ["failed", "passed"]
    assert [path.parent for path in kept] == left_over() * 2


@pytest.mark.parametrize(("word", "processes"), [("--sd-save=main", 1), ("--sd-report=run.json", 2)])
def test_a_process_that_is_no_baseline_ends_a_sweep_for_one(project: Path, word: str, processes: int) -> None:
    """Others would measure in vain, where nothing else was asked for; it says why, as the refusal does."""
    (project / "conftest.py").write_text(conftest("FakeDevice(noise=(1.0, 5.0, 1.0, 2.0, 3.0))"))
    words = dict.fromkeys([word, "--sd-save=main"])

    done = sweep(project, "--processes=2", *PLAIN, *words, "--", "--sd-batch-sizes=1", "-o", "sd_rounds=5")

    why = "the rounds of 1 case differ a lot (was the machine busy?): fp32-64x64-s4-b1x1"
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert done.stdout.count("sdbatch: process ") == processes
    assert (f"sdbatch: no other process is run: {why}" in done.stdout) is (processes == 1)
    assert f"{'run 1 of 2: ' if processes == 2 else '  why: '}{why}" in done.stderr
    assert not (project / "benchmarks").exists()


def test_a_baseline_that_is_there_is_refused_before_the_first_process_measures(project: Path) -> None:
    """Once the device is known: one error, and how the baseline is renewed."""
    words = (*PLAIN, "--sd-save=main", "--", "test_it.py", "--sd-batch-sizes=1")
    assert sweep(project, *words).returncode == 0

    done = sweep(project, "--processes=2", *words)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --sd-save=main: " in done.stderr
    assert done.stderr.count("ERROR") == 1
    assert "git rm" in done.stderr
    assert "process 2 of 2" not in done.stdout
    assert "[1/1]" not in done.stdout
    assert left_over() == []


@pytest.mark.slow
def test_only_the_first_process_is_refused_for_the_baseline(project: Path) -> None:
    """Behind it there are runs to lose: they are all measured, and kept where they cannot be written."""
    (project / "test_it.py").write_text(TAKES)

    done = sweep(project, "--processes=2", *PLAIN, "--sd-save=main", "--", "test_it.py", "--sd-batch-sizes=1")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "benchmarks/baselines/main" in done.stderr
    (kept,) = [line for line in done.stderr.splitlines() if line.startswith("kept: ")]
    assert [len(read_run_file(Path(word))) for word in kept.split()[1:]] == [1, 1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the console tells all its processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_runs_are_kept_where_it_is_stopped_while_it_writes(project: Path, number: signal.Signals) -> None:
    """They took hours, and a store may take its time: the end says where they are."""
    (project / "conftest.py").write_text(conftest(before=SLOW))
    words = ("--processes=1", *PLAIN, "-o", "sd_baselines=slow://bucket", "--sd-save=main", "--", "--sd-batch-sizes=1")
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_for(project / "waiting", process)

    process.send_signal(number)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert "ERROR: stopped before all was written" in said
    assert "Traceback" not in said
    (kept,) = [line.removeprefix("kept: ") for line in said.splitlines() if line.startswith("kept: ")]
    assert not read_run_file(Path(kept))[0].interrupted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--processes=0", "--sd-report=run.json"), "--processes=0"),
        (("--sd-report=run.json", "--processes"), "--processes"),
        (("--processes=2",), "--processes without a file"),
        (("--processes=2", "--sd-report=run.json", "--sd-resume"), "--sd-resume with --processes"),
        (("--processes=2", "--sd-report=run.json", "--sd-gate"), "--sd-baseline or --sd-gate with --processes"),
        (("--processes=2", "--sd-report=conftest.json"), "conftest.json"),
        (("--processes=2", "--sd-report=run.json", "--sd-batch-sizes=x"), "--sd-batch-sizes=x"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_measured(
    project: Path, words: tuple[str, ...], said: str
) -> None:
    """One error, pytest's status for it, and no process is started."""
    (project / "conftest.json").touch()

    done = sweep(project, *words, "--", "test_it.py")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert "sdbatch: process" not in done.stdout


@pytest.mark.slow
def test_a_plan_is_shown_once(project: Path) -> None:
    """There is nothing to repeat; without -- it is that of the shipped suite."""
    (project / "conftest.py").unlink()

    done = sweep(project, "--processes=2", "--sd-plan", "--sd-device=cpu", "--sd-models=tiny-sd", "--sd-batch-sizes=1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("tiny-sd-fp32-64x64-s4-b1x1") == 1
    assert "sdbatch: process" not in done.stdout


@pytest.mark.slow
def test_behind_two_dashes_the_benchmarks_of_the_project_run(project: Path) -> None:
    """In place of the shipped suite, also in one process."""
    done = sweep(project, *PLAIN, "--sd-batch-sizes=1", "--", "test_it.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_it.py::test_it" in done.stdout
    assert "test_sweep" not in done.stdout
