"""A cluster of Ray on this machine, in a process of its own: a head, and nodes that come and go when they are told to.

Run as a script it reads a line of JSON for each thing to do, and answers each with one. Ray's threads and warnings stay
in that process. :class:`RayNodes` talks to it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psutil
import pytest

# A node of a test needs little of what Ray starts for a cluster of machines.
_SMALL = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}


_SETTINGS = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # A worker that has done its task is kept for the next one, although a node here has no CPU to count by.
    "RAY_num_workers_soft_limit": "4",
    # Else whatever runs beside a test goes first, and a sweep of seconds takes minutes.
    "RAY_worker_niceness": "0",
    # The death of a node is known after two seconds, not fifteen.
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
}


class RayNodes:
    """The cluster as a test sees it. Its nodes are told apart by ``NODE`` in the variables of what they run."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Start the head, whose processes and those of all nodes have *variables*."""
        # Short: the name of a socket has a limit.
        self._folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        variables = {**os.environ, **variables, "RAY_TMPDIR": self._folder, **_SETTINGS}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={name: text for name, text in variables.items() if name != "RAY_ADDRESS"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        answer = self._answer()
        self.address, self.client = answer["address"], answer["client"]

    def add(self, name: str, *, places: int = 1, gpus: int = 0, variables: Mapping[str, str] | None = None) -> None:
        """Start a node that runs so many groups at once."""
        self._tell("add", name=name, places=places, gpus=gpus, variables=dict(variables or {}))

    def kill(self, name: str) -> None:
        """Kill all processes of a node, as if its machine had lost power; what they have started goes on by itself."""
        self._tell("kill", name=name)

    def vanish(self) -> None:
        """Kill all processes of the cluster, and what they have started: all its machines lose power at once."""
        main = psutil.Process(self._process.pid)
        for process in [main, *main.children(recursive=True)]:
            process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """End the cluster."""
        self._tell("end")
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, what: str, **given: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps({'do': what, **given})}\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise AssertionError(f"the cluster ended: {self._process.wait()}")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """Start a head, which measures nothing, and two nodes without a GPU; each test leaves these two alive."""
    made = RayNodes({"SDBATCH_LEASES": str(tmp_path_factory.mktemp("cluster") / "leases")})
    try:
        for name in ("a", "b"):
            made.add(name)
        yield made
    finally:
        made.close()


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Return when *condition* holds; *process* must not end before."""
    end_s = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s, "not within 200 seconds"
        time.sleep(0.1)


def _main() -> None:
    from ray.cluster_utils import Cluster

    client = _free_port()
    cluster = Cluster(initialize_head=True, head_node_args={**_SMALL, "ray_client_server_port": client})
    nodes: dict[str, Any] = {}
    print(json.dumps({"address": cluster.address, "client": f"ray://127.0.0.1:{client}"}), flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        if told["do"] == "add":
            resources = {"sdbatch": told["places"]} if told["places"] else {}
            nodes[told["name"]] = cluster.add_node(
                **{**_SMALL, "num_gpus": told["gpus"]}, node_name=told["name"], resources=resources,
                env_vars={"NODE": told["name"], **told["variables"]},
            )  # fmt: skip
        elif told["do"] == "kill":
            cluster.remove_node(nodes.pop(told["name"]), allow_graceful=False)
            cluster.wait_for_nodes()  # until it is known to be gone: the next test must not meet it
        else:
            cluster.shutdown()
        print("{}", flush=True)
        if told["do"] == "end":
            return


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    _main()
