"""The gate as a user runs it: a baseline of five processes, suspects again in fresh ones, all that pytest shows.

What docs/how-to/gate-in-pytest.md shows of it, too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from real_processes import SDBATCH, call, conftest, make_project, wait_for

from pytest_sdbatch import read_run_file

# A device whose processes differ a little, and whose calls take as many times as long as the file says.
PROCESSES = """
import os
from pathlib import Path

HERE = Path(__file__).parent
PROCESSES = HERE / "processes"
PROCESSES.mkdir(exist_ok=True)
NUMBER = len(list(PROCESSES.iterdir()))
(PROCESSES / str(NUMBER)).touch()
if (HERE / "first dying").exists() and NUMBER >= int((HERE / "first dying").read_text()):
    os._exit(3)
SLOWER = [float(text) for text in (HERE / "slower").read_text().split()]
FACTOR = (1.0, 1.002, 0.999, 1.001, 0.998)[NUMBER % 5]
CAPACITY = 0 if (HERE / "short of memory").exists() and NUMBER == 2 else None
CALL_S = 0.1 * FACTOR * SLOWER[min(NUMBER, len(SLOWER) - 1)]
"""
DEVICE = "FakeDevice(seconds_per_call=CALL_S, seconds_per_image=0.1 * FACTOR, capacity_images=CAPACITY)"
PLAIN = ("-p", "no:randomly", "--sd-batch-sizes=1,32")
GATE = (sys.executable, "-u", "-m", "pytest", "test_it.py", "--sd-baseline=main", "--sd-gate", *PLAIN)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_plugins")]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with a baseline of five processes, by the real command."""
    project = make_project(tmp_path_factory.mktemp("recorded"), conftest=conftest(DEVICE, before=PROCESSES))
    (project / "slower").write_text("1")
    ended = call(project, *SDBATCH, "sweep", "--processes=5", "--sd-save=main", "--", "test_it.py", *PLAIN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return project


@pytest.fixture
def project(recorded: Path, tmp_path: Path) -> Path:
    """Return a copy of it, whose processes are counted anew."""
    copy = tmp_path / "project"
    shutil.copytree(recorded, copy)
    shutil.rmtree(copy / "processes")
    return copy


def gate(project: Path, *words: str) -> tuple[int, str]:
    """Run the gate in *project*; return the exit status and what was printed."""
    ended = call(project, *GATE, *words)
    return ended.returncode, ended.stdout or ended.stderr  # where it refuses nothing else is printed


def test_a_slower_call_fails_its_test_once_all_have_run(project: Path) -> None:
    """Slower in every process: a second, failed report, in the summary, in JUnit, for --lf and under a worker and -x.

    The suspect ran in three processes more; the other case, a thirtieth of whose time is the call, is none of them.
    """
    (project / "slower").write_text("1.12")

    status, text = gate(project, "-n1", "-x", "--junitxml=out.xml", "-o", "cache_dir=kept")

    assert status == 1
    assert text.rstrip().splitlines()[-1] == "sdbatch: gate: 2 cases compared, 1 regressed"
    assert "1 case looks slower than main; again in 3 fresh processes" in text
    assert "time: 200 ms -> 212 ms per call, +6.0 %" in text
    assert "baseline: main, 5 runs of it and 4 runs of this code" in text
    assert "FAILED test_it.py::test_it[fp32-64x64-s4-b1x1] - regressed" in text
    assert "1 failed, 2 passed" in text
    suite = ET.parse(project / "out.xml").getroot()[0]
    assert suite.attrib["failures"] == "1"
    failures = [case for case in suite if case.find("failure") is not None]
    assert [case.attrib["name"] for case in failures] == ["test_it[fp32-64x64-s4-b1x1]"]
    assert "b1x1" in (project / "kept/v/cache/lastfailed").read_text()
    assert len(list((project / "processes").iterdir())) == 1 + 1 + 3  # controller, worker, and the fresh ones


def test_one_slow_process_is_not_red(project: Path) -> None:
    """The three processes that follow are as fast as ever: it was the machine, and not the code."""
    (project / "slower").write_text("1.12 1")
    (project / "pytest.ini").write_text("[pytest]\nsd_report = run.json\n")

    status, text = gate(project, "--sd-save=new")

    assert status == 0
    assert "again in 3 fresh processes" in text
    assert len(read_run_file(project / "run.json")) == 1  # this process's: the fresh ones hand theirs in
    assert len(list((project / "benchmarks" / "baselines" / "new").iterdir())) == 1
    last = text.rstrip().splitlines()[-1]
    assert last.startswith("sdbatch: gate: 2 cases compared, 1 inconclusive; both versions side by side settle it: ")
    assert "sdbatch ab --base " in last


def test_the_run_that_raised_the_suspicion_does_not_confirm_it(project: Path) -> None:
    """Where fewer than two of the fresh processes leave a run, time is not red, and the reason is in the table."""
    (project / "slower").write_text("1.12")
    (project / "first dying").write_text("2")

    status, text = gate(project)

    assert status == 0
    assert text.count("ERROR: a fresh process left no run") == 2
    said = "(1) time: 1 of 3 fresh processes measured it again, whole and undisturbed, 2 are needed"
    assert said in " ".join(text.split())
    assert text.rstrip().splitlines()[-1].startswith("sdbatch: gate: 2 cases compared, 1 inconclusive")


def test_what_fails_in_a_fresh_process_alone_is_noted_and_judged_by_the_others(project: Path) -> None:
    """It is no change of the code: the run itself ended well, and still holds what another one lacks."""
    (project / "short of memory").touch()

    status, text = gate(project)
    assert (status, "ended otherwise" in text) == (0, False)

    shutil.rmtree(project / "processes")
    (project / "slower").write_text("1.12")
    status, text = gate(project)

    assert status == 1
    assert "test_it.py::test_it[fp32-64x64-s4-b1x1] ended otherwise in a fresh process: oom: " in text
    assert "ok before, oom now" not in text
    assert text.rstrip().splitlines()[-1] == "sdbatch: gate: 2 cases compared, 1 regressed"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the console tells all processes at once")
def test_a_run_that_is_stopped_meanwhile_ends_its_process_too(project: Path, tmp_path: Path) -> None:
    """Exit status 2, as of any Ctrl-C; no verdict, no process and no file is left behind."""
    (project / "slower").write_text("1.12")
    left = tmp_path / "left"
    left.mkdir()
    variables = {**os.environ, "TMPDIR": str(left)}
    with subprocess.Popen(GATE, cwd=project, stdout=subprocess.PIPE, text=True, env=variables) as run:
        assert run.stdout is not None
        next(line for line in run.stdout if "again in 3 fresh processes" in line)
        wait_for(project / "processes" / "1", run)  # the first of them has come to its conftest
        run.send_signal(signal.SIGTERM)
        text = run.stdout.read()

    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert "not compared with main: the run did not come to its end" in text
    assert "interrupted before the verdict: a gate judges whole runs, so run the same command again" in text
    assert "--sd-resume" not in text
    assert "regressed" not in text
    assert not list(left.glob("sdbatch-*"))
    assert len(list((project / "processes").iterdir())) == 2


def test_nothing_that_looks_slower_runs_nothing_again(project: Path) -> None:
    """The usual end: one process, exit status 0."""
    status, text = gate(project)

    assert (status, "fresh process" in text) == (0, False)
    assert len(list((project / "processes").iterdir())) == 1


def test_workers_that_share_the_machine_end_with_12(project: Path) -> None:
    """Before any of them starts: the baseline was recorded by one process alone."""
    status, text = gate(project, "-n2")

    assert status == 12
    assert "a run of 2 workers cannot be compared with the baseline main" in text
    assert "do:  add -n0" in text
    assert len(list((project / "processes").iterdir())) == 1
