"""What can be known of a cluster of Ray without one: what is missing here, and why there is none there."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from real_processes import call

from pytest_sdbatch.commands.cluster.board import board_class
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.machines import Task
from pytest_sdbatch.commands.cluster.ray_cluster import (
    RayCluster,
    _check_reachable,
    _first_line,
    _probe,
    _refusal,
)

WITHOUT = "import sys; sys.modules[{module!r}] = None; from pytest_sdbatch.cli import main; sys.exit(main())"


@pytest.mark.parametrize(("module", "on"), [("ray", "ray"), ("grpc", "ray://127.0.0.1:10001")])
def test_without_ray_the_error_names_the_extra(tmp_path: Path, module: str, on: str) -> None:
    """Before pytest is asked for anything."""
    if module == "grpc":
        pytest.importorskip("ray", reason="it is missed first")

    done = call(tmp_path, sys.executable, "-c", WITHOUT.format(module=module), "sweep", "--on", on)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr == f"ERROR: --on={on}: {module} is not installed\n  do:  pip install 'pytest-sdbatch[ray]'\n"
    assert done.stdout == ""


@pytest.mark.parametrize("address", ["ray://127.0.0.1:{port}", "127.0.0.1:{port}"])
def test_where_nobody_listens_there_is_no_cluster(address: str) -> None:
    """Told at once, and with the way in that was meant."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = address.format(port=free.getsockname()[1])

    with pytest.raises(ClusterError, match="nothing answers at") as raised:
        _check_reachable(at, "ray")

    assert ("Ray Client" in raised.value.fix) == at.startswith("ray://")


def test_where_somebody_listens_ray_is_asked() -> None:
    """And so it is where the address is Ray's own word for the cluster of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _check_reachable(f"127.0.0.1:{server.getsockname()[1]}", "ray")
    _check_reachable("auto", "ray")


def test_a_cluster_of_another_python_is_told_as_one() -> None:
    """Ray says so itself, in many lines."""
    error = _refusal("ray", "auto", RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.61.0\n"))

    assert error.what == "--on=ray: this Python or Ray is another one than the cluster's"
    assert error.why == "Version mismatch: The cluster was started with:; Ray: 2.61.0"


def test_a_project_that_did_not_arrive_is_told_as_that() -> None:
    """There is a cluster."""
    exceptions = pytest.importorskip("ray.exceptions", reason="the error is one of its classes")

    error = _refusal("ray", "auto", exceptions.RuntimeEnvSetupError("no room"))

    assert error.what == "--on=ray: the project could not be sent to the cluster"
    assert "no room" in error.why


@pytest.mark.parametrize("made", [board_class, _probe])
def test_what_runs_on_a_node_before_it_was_looked_at_travels_whole(tmp_path: Path, made: Callable[[], object]) -> None:
    """That node may lack this package."""
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="it packs what a node runs")
    (tmp_path / "packed").write_bytes(cloudpickle.dumps(made()))
    code = (
        "import sys; sys.modules['pytest_sdbatch'] = None; from pathlib import Path; "
        "import ray.cloudpickle; ray.cloudpickle.loads(Path('packed').read_bytes())"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize(
    ("address", "what"),
    [("auto", "--on=ray: no cluster to connect to"), ("h:6379", "--on=ray: no cluster to connect to at h:6379")],
)
def test_no_cluster_is_one_error(address: str, what: str) -> None:
    """With how one is started, or named."""
    error = _refusal("ray", address, ConnectionError("Could not find any running Ray instance."))

    assert (error.what, error.why) == (what, "Could not find any running Ray instance.")
    assert "RAY_ADDRESS" in error.fix


def test_of_an_error_on_a_node_its_cause_is_told() -> None:
    """Without the traceback that Ray hands over with it."""
    error = RuntimeError("a traceback")
    error.cause = OSError("the disk is full\nmore")  # type: ignore[attr-defined]

    assert _first_line(error) == "OSError: the disk is full"
    assert _first_line(ValueError()) == "ValueError"


TASK = Task(arguments=(), names=())


class Away(Exception):
    """What Ray raises of a task."""


class Ray:
    """As much of the module as a cluster of two nodes needs; what it raises is told by the test."""

    exceptions = SimpleNamespace(
        RayError=Away, NodeDiedError=Away, ObjectLostError=Away, WorkerCrashedError=Away, GetTimeoutError=Away
    )

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.tasks: list[dict[str, Any]] = []  # the options of each

    def __getattr__(self, name: str) -> Any:
        """Be whatever is handed to Ray: it takes all, and gives itself."""

        def take(*_: Any, **options: Any) -> Ray:
            self.tasks.append(options)
            return self

        return take

    def options(self, **options: Any) -> SimpleNamespace:
        """Return what can be called, and nothing else."""
        self.tasks.append(options)
        return SimpleNamespace(remote=lambda *_: self)

    @property
    def begun(self) -> Ray:
        """Return what tells which tasks have begun."""
        return self

    def nodes(self) -> list[dict[str, Any]]:
        """Return both."""
        self._answer()
        return [{"Alive": True, "NodeID": name * 56, "NodeName": name, "Resources": {"GPU": 1.0}} for name in "ab"]

    def get_node_id(self) -> str:
        """Return where this process is."""
        return "c" * 56

    def wait(self, references: list[object], **_: object) -> tuple[list[object], list[object]]:
        """Say that all have ended."""
        self._answer()
        return references, []

    def get(self, reference: object, **_: object) -> Any:
        """Return what came of a task, or which have begun."""
        self._answer()
        return {}

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def ray() -> Ray:
    """Return the module, which answers."""
    pytest.importorskip("ray", reason="a strategy of placing is one of its classes")
    return Ray()


def cluster_of(ray: Ray) -> RayCluster:
    """Return a cluster of which one task has begun."""
    cluster = RayCluster(ray, device="cuda", lost=(ConnectionError, Away))
    cluster.nodes()
    cluster.submit(TASK)
    return cluster


@pytest.mark.parametrize("error", [ConnectionError("gone"), Away("gone")])
def test_a_cluster_that_does_not_answer_any_more_is_one_error(ray: Ray, error: Exception) -> None:
    """With how to go on; its nodes are those that were seen last, and what runs on them nobody knows."""
    cluster = cluster_of(ray)
    ray.error = error

    assert [node.name for node in cluster.nodes()] == ["a", "b"]
    assert cluster.running() == {}
    with pytest.raises(ClusterError, match="the cluster does not answer any more") as raised:
        cluster.ended(0.0)
    assert "--sd-resume" in raised.value.fix


def test_a_task_whose_end_was_not_taken_is_not_lost(ray: Ray) -> None:
    """Where Ctrl-C comes while its result travels it is there still."""
    cluster = cluster_of(ray)
    cluster.submit(TASK)

    (first,), (second,) = cluster.ended(0.0), cluster.ended(0.0)

    assert (first.number, second.number) == (1, 2)
    assert cluster.ended(0.0) == ()


def test_a_task_avoids_a_node_only_where_there_is_another(ray: Ray) -> None:
    """It is bound to one of the others, as long as that lives."""
    cluster = cluster_of(ray)

    def placed(*avoid: str) -> list[tuple[str, bool]]:
        ray.tasks.clear()
        cluster.submit(TASK, avoid=avoid)
        found = [options["scheduling_strategy"] for options in ray.tasks if "scheduling_strategy" in options]
        return [(one.node_id, one.soft) for one in found]

    assert placed("a") == [("b" * 56, True)]
    assert placed() == placed("a", "b") == placed("gone") == []


def test_the_module_is_imported_without_ray(tmp_path: Path) -> None:
    """Every sweep would pay for it."""
    code = "import sys, pytest_sdbatch.commands.cluster.job; sys.exit('ray' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
