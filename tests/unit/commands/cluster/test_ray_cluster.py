"""What can be known of a cluster of Ray without one: what is missing here, and why there is none there."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from real_processes import call

from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.ray_cluster import _check_reachable, _first_line, _refusal

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


def test_the_module_is_imported_without_ray(tmp_path: Path) -> None:
    """Every sweep would pay for it."""
    code = "import sys, pytest_sdbatch.commands.cluster.job; sys.exit('ray' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
