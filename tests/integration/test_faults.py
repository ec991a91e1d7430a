"""What a process does not survive: a device that became unusable, a case that does not end. The sweep goes on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pytest_sdbatch import Outcome, Record, read_run_file

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_plugins")]

# A device that a case can break, and an application that can hang; each at the batch size that the environment names.
CONFTEST = """
    import ctypes, os, subprocess, sys, time

    import numpy, scipy.special  # now: no case shall time out over it
    import pytest
    from pytest_sdbatch.devices.fake import FakeDevice

    DEVICE = FakeDevice(lease_name="gpu-" + os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0])

    def pytest_sdbatch_make_device(name):
        return DEVICE

    def at(name, case):
        return os.environ.get(name) == f"{case.variant} {case.batch_size}"

    @pytest.fixture
    def generate(sd_case):
        with open("gpus.txt", "a") as file:
            file.write(f"{sd_case.split} {DEVICE.lease_name}\\n")

        def call(batch):
            if at("BREAK_AT", batch.case):
                DEVICE.break_down("CUDA error: an illegal memory access was encountered")
            if at("LOSE_AT", batch.case):
                DEVICE.break_down("CUDA error: uncorrectable ECC error encountered", lost=True)
            if at("HANG_AT", batch.case):
                time.sleep(100)
            if at("LOCK_AT", batch.case):
                ctypes.PyDLL(None).sleep(100)  # keeps Python's lock
            return DEVICE.generate(batch)
        yield call
        if at("HANG_AFTER", sd_case):
            time.sleep(100)
        if at("DIE_AFTER", sd_case):
            os.kill(os.getpid(), 9)
"""
BENCHMARK = """
    def test_generate(sd_benchmark, generate):
        sd_benchmark(generate)
"""
VARIANTS = "--sd-variants=eager,vae-slicing"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a benchmark; its leases are its own."""
    monkeypatch.setenv("SDBATCH_LEASES", str(pytester.path / "leases"))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=BENCHMARK)
    return pytester.path


def run_it(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the benchmark at three sizes."""
    return pytester.runpytest_subprocess(
        "-p", "no:randomly", "--sd-batch-sizes=1,2,4", "--sd-report=run.json", *arguments
    )


def records_of(folder: Path) -> dict[str, Record]:
    """Return the records of run.json, by variant and split."""
    (run,) = read_run_file(folder / "run.json")
    return {f"{record.case.variant} {record.case.split}": record for record in run.records}


def outcomes(folder: Path) -> dict[str, Outcome]:
    """Return the outcomes of run.json."""
    return {name: record.outcome for name, record in records_of(folder).items()}


def test_an_unusable_device_ends_a_run_without_workers(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session stops at the case that broke the device, keeps what it has, and says how to go on."""
    monkeypatch.setenv("BREAK_AT", "eager 2")

    result = run_it(pytester)

    result.assert_outcomes(passed=1, failed=1)
    assert outcomes(project) == {"eager 1x1": Outcome.OK, "eager 2x1": Outcome.CRASHED}
    result.stdout.fnmatch_lines(["*cannot be used any more by this process (CUDA error: an illegal*--sd-resume*"])

    monkeypatch.delenv("BREAK_AT")
    (project / "run.json").unlink()
    run_it(pytester, "--sd-resume").assert_outcomes(passed=2, deselected=1)
    assert list(outcomes(project).values()) == [Outcome.OK] * 3


def test_a_worker_with_an_unusable_device_is_replaced(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right case is crashed, with the device's words; every other case is measured by a worker that works."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("BREAK_AT", "eager 2")

    result = run_it(pytester, "-n", "2", VARIANTS)

    result.assert_outcomes(passed=5, failed=1)
    found = records_of(project)
    assert [name for name, record in found.items() if record.outcome is not Outcome.OK] == ["eager 2x1"]
    assert found["eager 2x1"].reason == "CUDA error: an illegal memory access was encountered"
    result.stdout.fnmatch_lines(["*RuntimeError: CUDA error: an illegal memory access*"])


def test_a_lost_gpu_is_given_up_and_the_others_do_its_work(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that replaces one whose GPU is lost goes to another GPU, and waits for it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("LOSE_AT", "eager 2")

    result = run_it(pytester, "-n", "auto")

    result.assert_outcomes(passed=2, failed=1)
    bad = {name: record.reason for name, record in records_of(project).items() if record.outcome is not Outcome.OK}
    assert bad == {"eager 2x1": "CUDA error: uncorrectable ECC error encountered"}
    used = dict(line.split() for line in (project / "gpus.txt").read_text().splitlines())
    assert used["1x1"] == used["2x1"] != used["4x1"]


def test_a_hung_case_ends_the_process_and_nothing_else(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After case_timeout the process ends by itself: the journal is kept, other processes live, the rest can be run."""
    monkeypatch.setenv("HANG_AT", "eager 2")
    pytester.makeconftest(CONFTEST + "\n    open('child', 'w').write(str(subprocess.Popen(['sleep', '100']).pid))\n")

    result = run_it(pytester, "-o", "sd_case_timeout=5")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*time.sleep(100)*", "*did not end within case_timeout=5 s*", "*--sd-resume runs*"])
    child = int((project / "child").read_text())
    os.kill(child, 0)  # raises where there is no such process
    os.kill(child, signal.SIGKILL)

    monkeypatch.delenv("HANG_AT")
    again = run_it(pytester, "--sd-resume")
    os.kill(int((project / "child").read_text()), signal.SIGKILL)
    again.assert_outcomes(passed=2, deselected=1)


def test_a_hung_case_ends_its_worker(project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under xdist the case has outcome timeout, and a new worker runs the rest."""
    monkeypatch.setenv("HANG_AT", "eager 2")

    result = run_it(pytester, "-n", "2", VARIANTS, "-o", "sd_case_timeout=5")

    result.assert_outcomes(passed=5, failed=1)
    found = records_of(project)
    assert [name for name, record in found.items() if record.outcome is not Outcome.OK] == ["eager 2x1"]
    assert found["eager 2x1"].outcome is Outcome.TIMEOUT
    assert found["eager 2x1"].reason == "did not end within case_timeout=5 s"


def test_a_tear_down_that_hangs_takes_no_record_away(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case is measured and stays so; the process ends all the same, says why, and the rest can be run."""
    monkeypatch.setenv("HANG_AFTER", "eager 2")

    result = run_it(pytester, "-o", "sd_case_timeout=5")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*time.sleep(100)*", "*b2x1[]]: its tear-down did not end within case_timeout=5 s*"])
    result.stdout.no_fnmatch_line("*this case again*")
    (journal,) = (project / ".sdbatch").glob("*.jsonl")
    assert "timeout" not in journal.read_text().replace("case_timeout", "")

    run_it(pytester, "--sd-resume").assert_outcomes(passed=1, deselected=2)
    assert set(outcomes(project).values()) == {Outcome.OK}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("HANG_AFTER", "measured, but then: its tear-down did not end within *"),
        ("DIE_AFTER", "measured, but then: its worker died"),
    ],
)
def test_a_worker_that_ends_in_a_tear_down_leaves_an_error_behind_the_case(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str, said: str
) -> None:
    """As with every tear-down that fails the case has passed, and an error is counted beside it."""
    monkeypatch.setenv(how, "eager 2")

    result = run_it(pytester, "-n", "2", "-o", "sd_case_timeout=5")

    result.assert_outcomes(passed=3, errors=1)
    assert set(outcomes(project).values()) == {Outcome.OK}
    result.stdout.fnmatch_lines(["*ERROR at teardown of *", said])


@pytest.mark.skipif(os.name == "nt", reason="no sleep in the C library")
@pytest.mark.usefixtures("project")
def test_a_case_that_keeps_pythons_lock_ends_too(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call into C that never gives Python a chance is ended by a timer that needs none."""
    monkeypatch.setenv("LOCK_AT", "eager 2")
    start = time.monotonic()

    result = run_it(pytester, "-o", "sd_case_timeout=4")

    assert result.ret == 1
    assert time.monotonic() - start < 90
    result.stderr.fnmatch_lines(["Timeout (0:00:09)!", '*conftest.py", line * in call'])


def test_the_last_case_may_break_the_device(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is to go then: what is said is how to run the broken case again."""
    monkeypatch.setenv("BREAK_AT", "eager 4")

    result = run_it(pytester)

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["interrupted at the last case: --sd-resume runs again what failed"])
    assert outcomes(project)["eager 4x1"] is Outcome.CRASHED


def test_out_of_memory_frees_everything(pytester: pytest.Pytester) -> None:
    """What a case held when its memory ran out is gone when the next test is set up, the error's frames included."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import gc, weakref
        import numpy, pytest

        HELD = []

        class Tensors:
            pass

        @pytest.fixture(autouse=True)
        def nothing_is_left(request):
            assert not [one for one in HELD if one() is not None], request.node.nodeid

        def test_too_large(sd_benchmark):
            calls = []

            def generate(batch):
                tensors = Tensors()
                HELD.append(weakref.ref(tensors))
                calls.append(1)
                if len(calls) > 2:
                    raise MemoryError("no more")
                return numpy.tile(numpy.array([0.25, 0.75]), (batch.size, 1)), tensors

            sd_benchmark(generate)

        def test_after():
            assert len(HELD) == 3
        """
    )

    result = pytester.runpytest_subprocess("-p", "no:randomly", "--sd-batch-sizes=1", "-rs")

    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["OOM*oom: in round*MemoryError: no more*"])
