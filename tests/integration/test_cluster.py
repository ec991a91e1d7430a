"""``sdbatch sweep --on ray``, on nodes of Ray that are real but for their machine: it is this one."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from ray_nodes import RayNodes, until
from real_processes import FEW_PLUGINS, SDBATCH, conftest, make_project

from pytest_sdbatch import read_run_file
from pytest_sdbatch.records import Outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Ray has no clusters there"),
]
pytest.importorskip("ray", reason="the extra ray is not installed")

# Says where it runs; waits, or kills its process, for as long as a file says so.
BENCHMARK = """
import os
import time
from pathlib import Path

import pytest

SHARED = Path({shared!r})


@pytest.mark.sdbatch(models=["one", "two", "three"])
def test_it(sd_benchmark, fake_device, sd_case):
    where = [sd_case.model, os.environ.get("NODE"), os.environ.get("CUDA_VISIBLE_DEVICES"), str(os.getpid())]
    with (SHARED / "ran").open("a") as file:
        file.write(" ".join(map(str, where)) + "\\n")
    while (SHARED / f"wait-{{sd_case.model}}").exists():
        time.sleep(0.05)
    if (SHARED / f"die-{{sd_case.model}}").exists():
        os.kill(os.getpid(), 9)
    sd_benchmark(fake_device.generate)
"""
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "many-machines.md"
COMMAND = "$ sdbatch sweep --on ray "
ONE_SIZE = ("--sd-batch-sizes=1", "--sd-report=all.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A case that began."""

    model: str
    node: str
    gpu: str
    process: int


class Project:
    """A project with a benchmark of three groups, called on the cluster."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = make_project(folder / "project", conftest=conftest())
        self.shared = folder / "shared"
        self.shared.mkdir()
        (self.folder / "test_it.py").write_text(BENCHMARK.format(shared=str(self.shared)))
        self.env = {**os.environ, **FEW_PLUGINS, "RAY_ADDRESS": address, "COLUMNS": "100"}

    def start(self, *words: str, on: str = "ray") -> subprocess.Popen[str]:
        """Begin a sweep."""
        command = [*SDBATCH, "sweep", "--on", on, *words]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def sweep(self, *words: str, on: str = "ray") -> tuple[int, str]:
        """Return the exit status of a sweep, and what it printed."""
        process = self.start(*words, on=on)
        printed, _ = process.communicate(timeout=300)
        return process.returncode, printed

    @property
    def ran(self) -> list[Ran]:
        """The cases that began, in order."""
        path = self.shared / "ran"
        lines = path.read_text().splitlines() if path.exists() else []
        found = (line.split() for line in lines)
        return [Ran(model=model, node=node, gpu=gpu, process=int(process)) for model, node, gpu, process in found]

    def outcomes(self) -> dict[str | None, Outcome]:
        """Return what came of each group, by the run file."""
        runs = read_run_file(self.folder / "all.json")
        return {record.case.model: record.outcome for run in runs for record in run.records}


@pytest.fixture
def project(tmp_path: Path, nodes: RayNodes) -> Project:
    """Make the project."""
    (tmp_path / "project").mkdir()
    return Project(tmp_path, nodes.address)


ALL_OK = {"one": Outcome.OK, "two": Outcome.OK, "three": Outcome.OK}


def test_the_command_of_the_page_measures_on_all_nodes(project: Project) -> None:
    """Real pipelines of the shipped suite: one progress view, one table, one file, and not a word of Ray's own."""
    (command,) = (line for line in PAGE.read_text().splitlines() if line.startswith(COMMAND))
    for name in ("conftest.py", "test_it.py"):  # a project without a file of its own
        (project.folder / name).unlink()
    project.env["PYTEST_ADDOPTS"] = "-o sd_rounds=3 -o sd_steps=1 -o sd_memory_round=no --sd-device=cpu"

    status, printed = project.sweep(*shlex.split(command.removeprefix(COMMAND)))

    assert status == 0, printed
    records = [record for run in read_run_file(project.folder / "all.json") for record in run.records]
    assert sorted((one.case.model, one.case.batch_size, one.case.steps, len(one.rounds)) for one in records) == [
        (model, size, 1, 3) for model in ("tiny-sd", "tiny-sdxl") for size in (1, 4)
    ]
    lines = printed.splitlines()
    assert lines[:2] == ["sdbatch: the project: 0 files, 0 B", "sdbatch: 2 places: a (CPU), b (CPU)"]
    assert "sdbatch: 2 groups, the longest first" in lines
    first, last = (line for line in lines if line.startswith("sdbatch: ["))
    assert first.startswith("sdbatch: [1/2] tiny-sd")
    assert "; 1 running: tiny-sd" in first
    assert first.endswith(" left")
    assert {text.split(": 2 cases on ")[1][0] for text in (first, last)} == {"a", "b"}
    assert f"sdbatch: run file: {project.folder / 'all.json'}: 2 runs, 4 cases" in lines
    assert "ray" not in printed.lower().split()


def test_a_node_that_dies_has_its_group_run_again_elsewhere(project: Project, nodes: RayNodes) -> None:
    """Killed while it measures, with all its processes: the figures come from the other node."""
    (project.shared / "wait-one").touch()
    process = project.start(*ONE_SIZE, "--", "test_it.py", "-k", "one or two")
    until(lambda: any(one.model == "one" for one in project.ran), process)
    (first,) = (one for one in project.ran if one.model == "one")

    nodes.kill(first.node)
    (project.shared / "wait-one").unlink()
    printed, _ = process.communicate(timeout=300)
    nodes.add(first.node)

    assert process.returncode == 0, printed
    assert project.outcomes() == {"one": Outcome.OK, "two": Outcome.OK}
    again = [one for one in project.ran if one.model == "one"][1:]
    assert [one.node for one in again] == [{"a": "b", "b": "a"}[first.node]]
    assert re.search(rf"one-own fp32: ({first.node}|its node) died(, or .*)?; runs again \(failure 1 of 3\)", printed)
    assert "; 1 failure" in printed
    assert not psutil.pid_exists(first.process)


def test_what_is_stopped_leaves_no_task_and_is_gone_on_with(project: Project) -> None:
    """Nor is anything lost that arrived; --sd-resume measures only the rest, and completes the file."""
    (project.shared / "wait-two").touch()
    process = project.start(*ONE_SIZE, "--", "test_it.py")
    until(lambda: len(list(project.folder.glob(".sdbatch/sweep-*/2*.json"))) == 2, process)
    until(lambda: any(one.model == "two" for one in project.ran), process)

    process.send_signal(signal.SIGTERM)  # which stops it as Ctrl-C does, although Ray has a handler of its own for it
    printed, _ = process.communicate(timeout=120)

    assert process.returncode == pytest.ExitCode.INTERRUPTED, printed
    assert "interrupted with 1 case to go: the same command with --sd-resume runs only the rest" in printed
    assert project.outcomes() == {"one": Outcome.OK, "three": Outcome.OK}
    assert not any(psutil.pid_exists(one.process) for one in project.ran)

    (project.shared / "wait-two").unlink()
    status, printed = project.sweep(*ONE_SIZE, "--sd-resume", "--", "test_it.py")

    assert status == 0, printed
    assert "2 cases kept" in printed
    assert project.outcomes() == ALL_OK
    assert sorted(one.model for one in project.ran) == ["one", "three", "two", "two"]


def test_a_group_that_fails_three_times_is_a_row(project: Project, nodes: RayNodes) -> None:
    """Through Ray Client, as from a machine that is no node; on a node with two GPUs each group sees one of them."""
    pytest.importorskip("grpc", reason="Ray Client needs it")
    nodes.add("g", places=0, gpus=2)
    for name in ("wait-one", "die-three"):
        (project.shared / name).touch()
    process = project.start(*ONE_SIZE, "--sd-device=cuda", "--", "test_it.py", on=nodes.client)
    until(lambda: any(one.model == "two" for one in project.ran), process)
    (project.shared / "wait-one").unlink()
    printed, _ = process.communicate(timeout=300)
    nodes.kill("g")

    assert process.returncode == pytest.ExitCode.TESTS_FAILED, printed
    assert project.outcomes() == {**ALL_OK, "three": Outcome.CRASHED}
    assert [one.model for one in project.ran].count("three") == 3
    assert {one.node for one in project.ran} == {"g"}
    assert {one.gpu for one in project.ran[:2]} == {"0", "1"}
    assert "its group failed 3 times" in printed
    assert "sdbatch: 2 places: g (2 x GPU)" in printed


def test_where_the_cluster_is_gone_what_came_is_kept(tmp_path: Path) -> None:
    """Its head with it, through which this machine talks to it: the sweep ends by itself, and can be gone on with."""
    pytest.importorskip("grpc", reason="Ray Client needs it")
    nodes = RayNodes({"SDBATCH_LEASES": str(tmp_path / "leases")})
    try:
        nodes.add("a", places=2)
        (tmp_path / "project").mkdir()
        project = Project(tmp_path, nodes.address)
        (project.shared / "wait-two").touch()
        process = project.start(*ONE_SIZE, "--", "test_it.py", "-k", "one or two", on=nodes.client)
        until(lambda: list(project.folder.glob(".sdbatch/sweep-*/2*.json")), process)
        until(lambda: any(one.model == "two" for one in project.ran), process)
    finally:
        nodes.vanish()
    printed, _ = process.communicate(timeout=180)

    assert process.returncode == pytest.ExitCode.TESTS_FAILED, printed
    assert "ERROR: the cluster does not answer any more" in printed
    assert "interrupted with 1 case to go: the same command with --sd-resume runs only the rest" in printed
    assert project.outcomes() == {"one": Outcome.OK}


def test_a_cluster_without_a_gpu_is_refused_where_one_is_asked_for(project: Project) -> None:
    """It never falls back to CPUs; the error says how a node is started that would do."""
    status, printed = project.sweep(*ONE_SIZE, "--sd-device=cuda", "--", "test_it.py")

    assert status == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: no node of the cluster has a GPU\n  why: it has 3 nodes\n  do:  start a node with a GPU" in printed
    assert printed.count("ERROR") == 1


LOOKS = """
import zipfile
from pathlib import Path
from pytest_sdbatch.commands.cluster import handshake
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.ray_cluster import connected

zipfile.ZipFile("p.zip", "w").close()
with connected("ray", Path("p.zip"), device="cpu") as cluster:
    nodes = cluster.nodes()
    for check, what in ((handshake.check_versions, handshake.own_facts()), (handshake.check_paths, ["~/own"])):
        try:
            check(cluster, nodes, what, folder=".")
        except ClusterError as error:
            print(error.what, *error.why.splitlines(), sep=" | ")
"""


def test_a_node_of_another_kind_is_named(project: Project, nodes: RayNodes, tmp_path: Path) -> None:
    """Each answers for itself: it has an older diffusers, and a home that lacks what a model is loaded from."""
    old, home = tmp_path / "old", tmp_path / "home" / "own"
    (old / "diffusers-0.1.dist-info").mkdir(parents=True)
    (old / "diffusers-0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: diffusers\nVersion: 0.1\n")
    home.mkdir(parents=True)
    path = os.pathsep.join(filter(None, [str(old), os.environ.get("PYTHONPATH")]))
    nodes.add("c", variables={"PYTHONPATH": path, "HOME": str(home.parent)})

    done = subprocess.run(
        [sys.executable, "-c", LOOKS], cwd=tmp_path, env=project.env, capture_output=True, text=True, check=False
    )
    nodes.kill("c")

    versions, paths = done.stdout.splitlines()
    assert versions.startswith("1 node of 3 cannot run what this machine would | c: diffusers 0.1, here "), done.stderr
    assert paths == "2 nodes of 3 cannot load a model | a: no ~/own | b: no ~/own"


@pytest.mark.parametrize(
    ("on", "address", "said"),
    [
        ("ray", "127.0.0.1:9", "ERROR: --on=ray: nothing answers at 127.0.0.1:9"),
        ("ray://127.0.0.1:9", "", "ERROR: --on=ray://127.0.0.1:9: nothing answers at 127.0.0.1:9"),
    ],
)
def test_an_unreachable_cluster_is_one_error(tmp_path: Path, on: str, address: str, said: str) -> None:
    """Within seconds, before anything is sent."""
    (tmp_path / "project").mkdir()
    status, printed = Project(tmp_path, address).sweep("--", "test_it.py", on=on)

    assert status == pytest.ExitCode.USAGE_ERROR
    assert said in printed
    assert printed.count("ERROR") == 1
    assert "Traceback" not in printed
