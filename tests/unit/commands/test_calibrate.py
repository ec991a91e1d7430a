"""``sdbatch calibrate`` as a user runs it: real processes on a device with a virtual clock, and bad luck.

Its commands stand in docs/how-to/compare-runs.md.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from real_processes import SDBATCH, call, conftest, make_project, wait_for

from pytest_sdbatch import read_run_file
from pytest_sdbatch.commands.calibrate import NOTHING, PARTLY, SAID

COMMAND = (*SDBATCH, "calibrate")
PLAIN = ("-p", "no:randomly", "-p", "no:cacheprovider", "-o", "sd_rounds=8")
USAGE_ERROR = 2
# Each process has a luck of its own, and its rounds differ.
LUCK = """
import random
from pathlib import Path

started = Path("started")
number = len(started.read_text()) if started.exists() else 0
started.write_text("x" * (number + 1))
chance = random.Random(number)
luck = chance.gauss(0, 0.01)
"""
DEVICE = "FakeDevice(noise=[1 + luck + chance.gauss(0, 0.003) for _ in range(97)])"
# The fourth process waits to be stopped. The first to read the conftest is the command itself.
WAITS = """
import time
from pathlib import Path

def test_it(sd_benchmark, fake_device):
    if len(Path("started").read_text()) == 5:
        Path("waiting").touch()
        time.sleep(60)
    sd_benchmark(fake_device.generate)
"""


@pytest.fixture
def project(tmp_path: Path, few_plugins: None) -> Path:
    """Make a project with one benchmark."""
    return make_project(tmp_path, conftest=conftest(DEVICE, before=LUCK))


def sdbatch_calibrate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*."""
    return call(folder, *COMMAND, *words)


@pytest.mark.slow
def test_a_table_a_sentence_and_the_traces(project: Path) -> None:
    """The time is told as it goes, on stderr; pytest's own tables are not shown; the runs are kept in time order."""
    of_a_plain_run = "[pytest]\nsd_report = taken.json\nsd_save = main\nsd_baseline = none\nsd_gate = yes\n"
    (project / "pytest.ini").write_text(of_a_plain_run)
    (project / "taken.json").touch()

    done = sdbatch_calibrate(
        project, "--processes=3", *PLAIN, "--keep-traces=aa.json", "--", "test_it.py", "--sd-batch-sizes=1,2"
    )

    assert done.returncode == SAID, done.stdout + done.stderr
    assert "3 processes one after another" in done.stderr
    assert "process 1 of 3 ended; " in done.stderr
    assert "passed" not in done.stdout
    assert done.stdout.count("b2x1") >= 2  # its row, and the sentence
    assert "with 8 pairs sdbatch ab finds a slowdown of " in done.stdout
    runs = read_run_file(project / "aa.json")
    assert [run.started_at for run in runs] == sorted(run.started_at for run in runs)
    assert [len(run.records) for run in runs] == [2, 2, 2]
    assert (project / "taken.json").read_text() == ""


@pytest.mark.slow
def test_machines_read_one_object_on_stdout(project: Path) -> None:
    """All else is on stderr; the stdev between processes is that of their lucks, within what three can tell."""
    done = sdbatch_calibrate(project, "--json", "--processes", "3", *PLAIN, "--", "test_it.py", "--sd-batch-sizes=1")

    data = json.loads(done.stdout)
    assert done.returncode == data["exit_status"] == SAID
    (case,) = data["cases"]
    assert case["processes"] == 3
    assert case["stdev_within"] == pytest.approx(0.003, rel=0.6)
    assert 0.001 < case["stdev_of_run"] < 0.1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the console tells all its processes")
def test_stopped_it_judges_what_came(project: Path) -> None:
    """Three processes had ended, the fourth is told to stop: what they say is said, and no fifth is started."""
    (project / "test_it.py").write_text(WAITS)
    words = ("--processes=9", *PLAIN, "--", "test_it.py", "--sd-batch-sizes=1")
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(project / "waiting", process)

    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    assert process.returncode == PARTLY, output + errors
    assert "judged on what came: 3 of 9 processes ended whole" in " ".join(output.split())
    assert "finds a slowdown of" in output
    assert len((project / "started").read_text()) == 5


@pytest.mark.slow
def test_without_a_benchmark_one_process_is_enough_to_know(project: Path) -> None:
    """The next ones would end the same; what the first printed at its end says why."""
    (project / "test_it.py").write_text("def test_plain():\n    pass\n")

    done = sdbatch_calibrate(project, *PLAIN, "--", "test_it.py")

    assert done.returncode == NOTHING
    assert "nothing can be said of this machine" in done.stdout
    assert "a process measured no benchmark" in done.stderr
    assert len((project / "started").read_text()) == 2


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--processes=1",), USAGE_ERROR, "1 cannot tell how processes differ; name 3 or more"),
        (("--processes=x",), USAGE_ERROR, "--processes=x"),
        (("--keep-traces=aa.csv",), USAGE_ERROR, "only .json run files are written"),
        (("--keep-traces=taken.json",), USAGE_ERROR, "taken.json exists"),
        (("--sd-report=run.json",), 4, "--sd-report with sdbatch calibrate"),
        (("-o", "sd_gate=yes"), 4, "sd_gate with sdbatch calibrate"),
        (("--sd-batch-sizes=x",), 4, "--sd-batch-sizes=x"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_measured(
    project: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    """One error, and no process is started."""
    (project / "taken.json").touch()

    done = sdbatch_calibrate(project, *words, "--", "test_it.py")

    assert done.returncode == status
    assert said in done.stderr
    assert "one after another" not in done.stderr


def test_the_help_names_every_exit_status(tmp_path: Path) -> None:
    """It is that of the command, not pytest's."""
    done = sdbatch_calibrate(tmp_path, "--help")

    assert done.returncode == 0
    assert "--keep-traces" in done.stdout
    statuses = done.stdout.partition("the first that applies:")[2].split("\n")
    assert [int(line.split()[0]) for line in statuses if line.strip()] == [USAGE_ERROR, NOTHING, PARTLY, SAID]
