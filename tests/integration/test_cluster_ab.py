"""``sdbatch ab --on ray``, on nodes of Ray that are real but for their machine: it is this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from ab_project import git, make_project, twice_the_layers
from ray_nodes import RayNodes, until
from real_processes import FEW_PLUGINS, SDBATCH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Ray has no clusters there"),
]
pytest.importorskip("ray", reason="the extra ray is not installed")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "ab.md"
# Says where it runs, and waits there for as long as a file says so.
BENCHMARK = """
import os
import time
from pathlib import Path

SHARED = Path({shared!r})

def test_it(sd_benchmark, sd_pipeline):
    import scratch

    with (SHARED / "ran").open("a") as file:
        file.write(f"{{os.environ['NODE']}} {{scratch.LAYERS}} {{os.getpid()}}\\n")
    while (SHARED / "wait").exists():
        time.sleep(0.05)
    sd_benchmark(sd_pipeline)
"""


class Job:
    """A repository with a change, compared on the cluster."""

    def __init__(self, folder: Path, nodes: RayNodes) -> None:
        self.root = make_project(folder / "project")
        self.shared = folder / "shared"
        self.shared.mkdir()
        (self.root / "benchmarks" / "test_it.py").write_text(BENCHMARK.format(shared=str(self.shared)))
        self._env = {**os.environ, **FEW_PLUGINS, "RAY_ADDRESS": nodes.address, "COLUMNS": "100"}

    def start(self, *words: str, folder: str = ".", benchmarks: str = "benchmarks/") -> subprocess.Popen[str]:
        """Begin it in a *folder* of the repository."""
        command = [*SDBATCH, "ab", "--on", "ray", "--base", "main", *words, "--", benchmarks, "--sd-batch-sizes=1"]
        return subprocess.Popen(
            command, cwd=self.root / folder, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def ran(self) -> list[tuple[str, int, int]]:
        """The processes that measured, in order: node, layers, process."""
        path = self.shared / "ran"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(node, int(layers), int(process)) for node, layers, process in map(str.split, lines)]

    def kept(self) -> list[str]:
        """Return the run files of all processes, which lie where those of a job here would."""
        (folder,) = (self.root / ".sdbatch").glob("ab-*")
        return sorted(path.name for path in folder.glob("pair-*.json"))


@pytest.fixture
def job(tmp_path: Path, nodes: RayNodes) -> Job:
    """Make the repository."""
    return Job(tmp_path, nodes)


def test_verdicts_come_back_of_pairs_on_one_device(job: Job) -> None:
    """As from a job here: verdicts, report, files of each process and exit status; the page has the command.

    Called in a folder of the repository, that is where its paths are seen from.
    """
    assert "$ sdbatch ab --on ray --base origin/main -- benchmarks/ --sd-batch-sizes" in PAGE.read_text()
    twice_the_layers(job.root)

    process = job.start("--report=report.md", "--json", folder="benchmarks", benchmarks="test_it.py")
    printed, progress = process.communicate(timeout=300)

    assert process.returncode == 10, printed + progress
    data = json.loads(printed)
    (case,) = data["cases"]
    assert (data["exit_status"], case["verdict"]) == (10, "regressed")
    assert any(text.startswith("stage: denoiser 8.00 ms -> 16.0 ms per call") for text in case["growth"])
    assert [layers for _, layers, _ in job.ran] == [2, 4, 4, 2, 2, 4, 4, 2, 4, 2, 2, 4]
    assert len({node for node, _, _ in job.ran}) == 1
    assert len(job.kept()) == 12
    assert "**regressed: benchmarks" in (job.root / "benchmarks" / "report.md").read_text()
    (folder,) = (job.root / ".sdbatch").glob("ab-*")
    assert data["notes"][-1] == f"runs and outputs: ../.sdbatch/{folder.name}"
    assert "sdbatch: both sides: " in progress
    assert "sdbatch: 2 places: a (CPU), b (CPU)" in progress
    assert "candidate the working tree at" in progress
    assert "with 2 changed files and 0 new" in progress
    assert git(job.root, "worktree", "list").count("\n") == 1


def test_a_node_that_dies_has_all_pairs_run_again_elsewhere(job: Job, nodes: RayNodes) -> None:
    """Nothing of the first device is part of the verdict."""
    file = job.root / "src" / "scratch" / "__init__.py"
    file.write_text(f"{file.read_text()}# changed\n")
    process = job.start()
    until(lambda: len(job.ran) == 2, process)
    (job.shared / "wait").touch()
    until(lambda: len(job.ran) == 3, process)
    first = job.ran[0][0]

    nodes.kill(first)
    (job.shared / "wait").unlink()
    printed, errors = process.communicate(timeout=300)
    nodes.add(first)

    assert process.returncode == 0, printed + errors
    assert "; it begins again (failure 1 of 3)" in printed
    assert [node for node, _, _ in job.ran[3:]] == [{"a": "b", "b": "a"}[first]] * 4
    assert len(job.kept()) == 4
    assert (
        psutil.wait_procs([psutil.Process(pid) for *_, pid in job.ran if psutil.pid_exists(pid)], timeout=30)[1] == []
    )


def test_what_is_stopped_is_judged_by_its_pairs(job: Job) -> None:
    """The node is told, ends what it does, and hands in what it has."""
    twice_the_layers(job.root)
    process = job.start()
    until(lambda: len(job.ran) == 4, process)
    (job.shared / "wait").touch()
    until(lambda: len(job.ran) == 5, process)

    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=120)

    assert process.returncode == 130, printed + errors
    assert "stopping: the pairs that were run are kept" in printed
    assert "it was stopped: what had not been decided by then is inconclusive" in printed
    assert len(job.kept()) == 4
    assert not any(psutil.pid_exists(pid) for *_, pid in job.ran)
