"""What a round through the plugin costs more than the same calls in a bare loop, on a real pipeline."""

from __future__ import annotations

import time

import torch

from benchmarks.harness.report import Line, ratio_of_pairs
from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.pipelines.anatomy import hide_progress
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.generation import GenerationWorkload
from pytest_sdbatch.pipelines.pool import PipelinePool

TITLE = "A round"
PAIRS = 1000
CASE = Case(
    model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4, batch_size=1, batch_count=1
)  # fmt: skip


def run() -> list[Line]:
    """Measure, and return the findings."""
    device = CpuDevice()
    pipeline = PipelinePool(device, ModelCatalog()).acquire(CASE).pipeline
    hide_progress(pipeline)
    workload = GenerationWorkload(pipeline, CASE)
    one_round = Rules(rounds=1, warmup_calls=1)
    for _ in range(5):
        _bare(workload)
    bare, ours, whole = [], [], []
    for index in range(PAIRS):
        if index % 2:
            bare.append(_bare(workload))
        start = time.perf_counter()
        with StageClock(pipeline, device) as stages:
            found = measure(workload, device, one_round, warm=True, stages=stages)
        whole.append(time.perf_counter() - start)
        assert found.rounds[0].stage_s, "the stages were not seen"
        ours.append(found.rounds[0].wall_s)
        if not index % 2:
            bare.append(_bare(workload))
    ratio, low, high = ratio_of_pairs(ours, bare)
    spent, spent_low, spent_high = ratio_of_pairs(whole, bare)
    return [
        Line(
            what=f"reported time of a round of tiny-sd, stages on, over a bare loop's, {PAIRS} pairs in turn, "
            f"{torch.get_num_threads()} threads",
            figure=f"{ratio - 1:+.2%} (95 % interval {low - 1:+.2%} to {high - 1:+.2%})",
            goal="upper bound < 1 %",
            met=high - 1 < 0.01,
        ),
        Line(
            what="wall time spent on such a round, with all that is read around it, over the bare loop's",
            figure=f"{spent - 1:+.1%} ({spent_low - 1:+.1%} to {spent_high - 1:+.1%})",
        ),
    ]


def _bare(workload: GenerationWorkload) -> float:
    (call,) = workload.prepare()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
