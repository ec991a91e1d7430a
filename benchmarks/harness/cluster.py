"""What a cluster costs and gains: a group through Ray and without it, two nodes against one, many shards merged."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.files import make_record
from benchmarks.harness.report import Line, median_and_range
from pytest_sdbatch.commands.cluster import on_node
from pytest_sdbatch.commands.cluster.machines import Task
from pytest_sdbatch.commands.cluster.ray_cluster import RESOURCE, RayCluster, connected
from pytest_sdbatch.commands.cluster.shipping import pack
from pytest_sdbatch.records import Environment, Run
from pytest_sdbatch.storage.merging import merge
from pytest_sdbatch.storage.plain import without_collector
from pytest_sdbatch.storage.run_file import read_run_file, write_run

TITLE = "A sweep on a cluster"
PAIRS, GROUPS = 5, 4
SHARDS, CASES, TIMES = 100, 100, 3
# An application of the user's own: what a group takes is to start pytest, import torch and end.
BENCHMARK = """
    import pytest

    @pytest.mark.sdbatch(models=["m0", "m1", "m2", "m3"], batch_sizes=[1, 2], rounds=5, memory_round=False)
    def test_own(sd_benchmark):
        sd_benchmark(lambda batch: sum(range(100_000)))
"""
ARGUMENTS = ("-p", "no:cacheprovider", "--sd-device=cpu", "test_own.py")
_NODE = {"num_cpus": 0, "object_store_memory": 80 * 2**20, "resources": {RESOURCE: 1}}


def run() -> list[Line]:
    """Measure, and return the findings."""
    lines = [_merging()]
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, _cluster(Path(folder)) as (project, add, here):
        add()
        with here() as cluster:
            local, through = [], []
            _measure(cluster, 1)  # the worker of the node is there from now on, as in a sweep
            for _ in range(PAIRS):
                with chdir(project):
                    local.append(_seconds(on_node.run, _task(0)))
                through.append(_seconds(_measure, cluster, 1))
            alone = _seconds(_measure, cluster, GROUPS)
        add()
        with here() as cluster:
            _measure(cluster, 2)
            both = _seconds(_measure, cluster, GROUPS)
    more = [b - a for a, b in zip(local, through, strict=True)]
    return [
        *lines,
        Line(
            what="a group of two cases of own code, in a process of this machine", figure=median_and_range(local, "s")
        ),
        Line(what="the same through Ray, on a node of this machine: in all", figure=median_and_range(through, "s")),
        Line(
            what="and what Ray adds, in turn",
            figure=median_and_range(more, "s"),
            goal="< 2 s",
            met=statistics.median(more) < 2,
        ),
        Line(
            what=f"{GROUPS} such groups on 2 nodes of this machine ({os.cpu_count()} cores), over 1",
            figure=f"{both / alone:.2f} ({both:.3g} s over {alone:.3g} s)",
            goal="0.5 where nodes are machines",
        ),
    ]


def _merging() -> Line:
    chance = random.Random(0)
    environment = Environment(must_match={"device_kind": "cpu"}, drift={}, shown={"commit": "abc"})
    taken = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for shard in range(SHARDS):
            made = Run(
                id=f"run{shard}", started_at="2026-01-01T00:00:00+00:00", environment=environment, options={},
                records=tuple(make_record(shard * CASES + number, chance) for number in range(CASES)),
            )  # fmt: skip
            write_run(folder / f"{shard}.json", [made])
        paths = sorted(folder.glob("*.json"))
        taken = [_seconds(_merge, paths, folder / f"all-{number}.json") for number in range(TIMES)]
    return Line(
        what=f"{SHARDS} shards of {CASES} cases of 30 rounds read, merged and written",
        figure=median_and_range(taken, "s"),
        goal="< 5 s",
        met=min(taken) < 5,
    )


def _merge(paths: Sequence[Path], target: Path) -> None:
    with without_collector():
        merged = merge((str(path), read_run_file(path)) for path in paths)
        write_run(target, merged.runs)
    assert len(merged.runs) == SHARDS


Add = Callable[[], None]
Here = Callable[[], Any]


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[Path, Add, Here]]:
    """Start a head; yield a project, what adds a node, and what connects to them with the project."""
    from ray.cluster_utils import Cluster

    project = folder / "project"
    project.mkdir()
    (project / "test_own.py").write_text(textwrap.dedent(BENCHMARK))
    os.environ["RAY_TMPDIR"] = str(folder)  # short, because the name of a socket has a limit
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    os.environ["RAY_ADDRESS"] = nodes.address
    sent = pack(project, folder / "project.zip")
    try:
        yield project, lambda: nodes.add_node(**_NODE), lambda: connected("ray", sent.path, device="cpu")
    finally:
        nodes.shutdown()


def _task(group: int) -> Task:
    names = tuple(f"test_own.py::test_own[m{group}-own-fp32-64x64-s4-b{size}x1]" for size in (1, 2))
    return Task(arguments=ARGUMENTS, names=names, variables={"OMP_NUM_THREADS": "1"})


def _measure(cluster: RayCluster, groups: int) -> None:
    left = {cluster.submit(_task(group)) for group in range(groups)}
    while left:
        for ended in cluster.ended(1.0):
            assert ended.result is not None, ended.failure
            assert ended.result.status == 0, ended.result.said
            left.discard(ended.number)


def _seconds(action: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start
