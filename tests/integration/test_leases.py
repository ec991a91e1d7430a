"""Several processes and one device: leases, workers that share GPUs or cores, and pytest -n auto.

Its commands stand in docs/how-to/long-runs.md.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nvml_shim import gpu
from nvml_shim.fixtures import MakeShim

from pytest_sdbatch import Outcome, Record, read_run_file

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_plugins")]

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # that may be used

# One fake GPU for each entry of CUDA_VISIBLE_DEVICES; notes who holds which lease while a case runs.
CONFTEST = """
    import os
    import time
    from pathlib import Path

    import pytest
    from pytest_sdbatch.devices.fake import FakeDevice

    def pytest_sdbatch_make_device(name):
        if name == "cpu":
            return None
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
        return FakeDevice(lease_name=f"gpu-{gpu}")

    @pytest.fixture
    def generate(sd_case, request):
        from pytest_sdbatch.host import host_of

        host = host_of(request.config)
        start = time.time()
        Path("started.txt").touch()
        while Path("hold.txt").exists():
            time.sleep(0.02)
        time.sleep(float(os.environ.get("SECONDS_HELD", "0.2")))
        with Path("timeline.txt").open("a") as file:
            file.write(f"{os.getpid()} {' '.join(host.lease.names)} {start} {time.time()}\\n")
        return host.device.generate if host.device.kind == "fake" else FakeDevice().generate
"""
BENCHMARK = """
    def test_generate(sd_benchmark, generate):
        sd_benchmark(generate)

    def test_again(sd_benchmark, generate):
        sd_benchmark(generate)
"""


# The second one ends when the process of the first one has.
OUTLIVES = """
    import os
    import time
    from pathlib import Path

    import psutil

    def test_first(sd_benchmark, generate):
        sd_benchmark(generate)
        Path("begun.txt").write_text(str(os.getpid()))
        Path("begun.txt").rename("first.txt")

    def test_last(sd_benchmark, generate):
        sd_benchmark(generate)
        end_s = time.monotonic() + 100
        while not Path("first.txt").exists() or is_there(int(Path("first.txt").read_text())):
            assert time.monotonic() < end_s, "it is still there"
            time.sleep(0.05)

    def is_there(pid):
        return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two benchmarks; its leases are its own."""
    monkeypatch.setenv("SDBATCH_LEASES", str(pytester.path / "leases"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=BENCHMARK)
    return pytester.path


def held(folder: Path) -> list[tuple[str, str]]:
    """Return (process, lease) of every case that ran."""
    lines = [line.split() for line in (folder / "timeline.txt").read_text().splitlines()]
    return [(pid, " ".join(names)) for pid, *names, _start, _end in lines]


def records_of(folder: Path) -> list[Record]:
    """Return the records of run.json."""
    (run,) = read_run_file(folder / "run.json")
    return list(run.records)


def test_auto_is_one_worker_per_visible_gpu(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-n auto with two GPUs to see: two workers, each with the lease of its own, and one table."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb")

    result = pytester.runpytest_subprocess("-n", "auto", "--sd-batch-sizes=1,2", "--sd-report=run.json")

    result.assert_outcomes(passed=4)
    assert {name for _, name in held(project)} == {"gpu-GPU-aa", "gpu-GPU-bb"}
    assert len(set(held(project))) == 2
    assert {record.parallel for record in records_of(project)} == {2}
    result.stdout.fnmatch_lines(["sdbatch: 2 workers share the machine*", "*[[]4/4] *", "*b1x1 *ok (1)"])


def test_auto_with_two_gpus_of_the_driver(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, nvml_shim: MakeShim
) -> None:
    """Two GPUs as the driver names them, in another order than CUDA's: two workers, two leases by UUID, one table."""
    shim = nvml_shim(gpu("GPU-bb"), gpu("GPU-aa"))
    for name, value in shim.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb")
    asked = CONFTEST.replace('f"gpu-{gpu}"', '"gpu-" + open_gpu(uuid=gpu).identity().uuid.value')
    pytester.makeconftest("    from pytest_sdbatch.devices.nvml import open_gpu\n" + asked)

    result = pytester.runpytest_subprocess("-n", "auto", "--sd-batch-sizes=1,2", "--sd-report=run.json")

    result.assert_outcomes(passed=4)
    assert {name for _, name in held(project)} == {"gpu-GPU-aa", "gpu-GPU-bb"}
    assert len(set(held(project))) == 2
    assert len(records_of(project)) == 4
    result.stdout.fnmatch_lines(["*[[]4/4] *", "*b1x1 *ok (1)"])
    assert "nvmlDeviceGetHandleByUUID" in shim.calls()


@pytest.mark.parametrize("device", ["fake", "cpu"])
def test_workers_beyond_what_there_is_wait_for_those_that_are_done(
    device: str, project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More workers than GPUs, or than cores: one waits, and gets what a worker that has nothing to do any more held."""
    if device == "cpu" and not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system keeps no process on chosen cores")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("SECONDS_HELD", "0.6")
    if device == "cpu":
        # One core for all: a worker is a child, and may use what its parent may.
        pytester.makeconftest(CONFTEST + "\n    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n")

    option = () if device == "fake" else ("--sd-device=cpu",)
    result = pytester.runpytest_subprocess(
        "-n", "2", *option, "--sd-batch-sizes=1", "-o", "sd_lease_seconds=60", timeout=100
    )

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["sdbatch: 2 workers and 1 *: some wait until others have ended"])
    spans = sorted(tuple(map(float, line.split()[-2:])) for line in (project / "timeline.txt").read_text().splitlines())
    assert len(set(held(project))) == 2
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_a_worker_that_is_done_ends_while_others_measure(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is gone, and with it its context on the GPU; its records are there, and so is the table."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    pytester.makepyfile(test_it=OUTLIVES)

    result = pytester.runpytest_subprocess("-n", "2", "--sd-batch-sizes=1", "--sd-report=run.json", timeout=150)

    result.assert_outcomes(passed=2)
    assert len(records_of(project)) == 2
    assert len({pid for pid, _ in held(project)}) == 2


def test_a_run_leaves_the_device_to_the_next_in_the_same_process(project: Path, pytester: pytest.Pytester) -> None:
    """A notebook that calls pytest.main twice does not wait for itself."""
    code = (
        "import pytest, sys\n"
        "run = lambda: pytest.main(['-q', '--sd-batch-sizes=1', '-o', 'sd_lease_seconds=1'])\n"
        "sys.exit(run() or run())"
    )

    assert pytester.run(sys.executable, "-c", code).ret == 0
    assert len(held(project)) == 4


def test_a_place_that_keeps_no_leases_fails_the_cases(project: Path, pytester: pytest.Pytester) -> None:
    """No benchmark is measured without its lease, and the message says what to do; the run itself goes on."""
    private = project / "leases"
    private.mkdir(mode=0o700)
    (private / "gpu-0.lock").mkdir()
    pytester.makepyfile(test_other="def test_plain(): pass")

    result = pytester.runpytest_subprocess("--sd-batch-sizes=1")

    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(["no lease of gpu-0 can be kept", "  why: *", "  do:  set SDBATCH_LEASES to a folder*"])
    text = result.stdout.str()
    assert text.count("invalid-environment (1)") == 2, "both rows have the same note"
    assert text.count("(1) no lease of gpu-0 can be kept: ") == 1
    assert "crashed" not in text


def test_auto_is_left_to_xdist_where_no_benchmark_is_in_sight(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unit tests of a project get as many workers as without this plugin, and see every GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
    pytester.makepyfile("import os\ndef test_a(): assert os.environ['CUDA_VISIBLE_DEVICES'] == '0'\ndef test_b(): pass")

    result = pytester.runpytest_subprocess("-n", "auto")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*created: 2/2 workers"])


def test_auto_without_a_gpu_says_so(project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks get the workers that xdist gives any test, and one line that says where the number is from."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")

    result = pytester.runpytest_subprocess("-n", "auto", "--sd-batch-sizes=1", "-k", "again")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sdbatch: no GPUs to share out: -n auto is xdist's own number, 2 workers; all cases*"])


def test_two_runs_never_use_one_gpu_at_once(project: Path) -> None:
    """Of two pytest processes on the same GPU the second waits, says for whom, and then measures."""
    waits = "waiting for gpu-0, in use by another benchmark (process"
    plain = ("-p", "no:randomly", "-p", "no:cacheprovider")
    command = [sys.executable, "-u", "-m", "pytest", *plain, "--sd-batch-sizes=1"]
    (project / "hold.txt").touch()  # who has it keeps it until the other one waits, however late that begins
    outputs = [project / f"output-{number}.txt" for number in range(2)]
    runs = []
    for output in outputs:
        with output.open("wb") as file:
            runs.append(subprocess.Popen(command, cwd=project, stdout=file, stderr=subprocess.STDOUT))
    end_s = time.monotonic() + 100
    while time.monotonic() < end_s and all(run.poll() is None for run in runs):
        if any(waits in output.read_text() for output in outputs):
            break
        time.sleep(0.05)
    (project / "hold.txt").unlink()
    statuses = [run.wait(timeout=120) for run in runs]
    said = [output.read_text() for output in outputs]

    assert statuses == [0, 0], said
    assert sum(waits in text for text in said) == 1
    spans = sorted(tuple(map(float, line.split()[-2:])) for line in (project / "timeline.txt").read_text().splitlines())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_two_runs_on_the_cores_say_that_they_disturb_each_other(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one does not wait, and says it at its start and below the table; who has ended is not named."""
    monkeypatch.setenv("SECONDS_HELD", "60")
    command = [sys.executable, "-m", "pytest", "--sd-batch-sizes=1", "--sd-device=cpu"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not (project / "started.txt").exists():
            assert first.poll() is None
            time.sleep(0.05)
        monkeypatch.setenv("SECONDS_HELD", "0")
        result = pytester.runpytest_subprocess("--sd-batch-sizes=1", "--sd-device=cpu")
        first.kill()
    after = pytester.runpytest_subprocess("--sd-batch-sizes=1", "--sd-device=cpu")

    result.assert_outcomes(passed=2)
    which = f"on this machine (process {first.pid}): their times disturb each other"
    said, noted = f"sdbatch: another benchmark runs {which}", f"another benchmark ran {which}"
    result.stdout.fnmatch_lines([said, "*b1x1 *ok*", noted])
    assert result.stdout.str().count(which) == 2
    after.stdout.no_fnmatch_line("*another benchmark*")


def test_a_gpu_that_stays_in_use_fails_the_case(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not get the GPU within lease_seconds is told who holds it, and measures nothing."""
    monkeypatch.setenv("SECONDS_HELD", "60")
    command = [sys.executable, "-m", "pytest", "--sd-batch-sizes=1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not (project / "started.txt").exists():
            assert first.poll() is None
            time.sleep(0.05)
        result = pytester.runpytest_subprocess("--sd-batch-sizes=1", "-o", "sd_lease_seconds=0.5")
        first.kill()

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            f"sdbatch: waiting for gpu-0, in use by another benchmark (process {first.pid})",
            "*invalid-environment: gpu-0*",
            f"(1) gpu-0 is in use by another benchmark (process {first.pid}): two runs*",
        ]
    )


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system keeps no process on chosen cores")
@pytest.mark.skipif(CORES < 2, reason="one core cannot be shared out")
def test_workers_on_a_cpu_share_its_cores(project: Path, pytester: pytest.Pytester) -> None:
    """Each of two workers keeps to cores of its own, and its records say how many these were."""
    result = pytester.runpytest_subprocess("-n", "2", "--sd-device=cpu", "--sd-batch-sizes=1,2", "--sd-report=run.json")

    result.assert_outcomes(passed=4)
    leases = dict(held(project))
    assert len(leases) == 2
    first, second = (set(names.split()) for names in leases.values())
    assert first
    assert not first & second
    cores = len(os.sched_getaffinity(0))
    assert min(int(str(record.must_match["cores"])) for record in records_of(project)) == cores // 2
    assert {record.outcome for record in records_of(project)} == {Outcome.OK}


def test_a_plain_run_takes_no_lease(pytester: pytest.Pytester, project: Path) -> None:
    """A pytest run without benchmarks leaves no lock file behind."""
    pytester.makepyfile(test_it="def test_plain(): pass")

    pytester.runpytest_subprocess().assert_outcomes(passed=1)

    assert not (project / "leases").exists()
