"""How true a reported time is: a workload that spins to a given time, and the price of a stage mark."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from benchmarks.harness.report import Line, location, ratio_of_pairs
from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.stopping import Rules

TITLE = "The clock"
_MARKED_CALLS = 1000
_CALLS_OF_SD15 = 1 + 20 + 20 + 1  # text encoder, denoiser and scheduler at 20 steps, VAE


class Spin:
    """Keeps a core busy for a given time, and notes by the same clock how long that really was."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.true_s: list[float] = []

    def prepare(self) -> Sequence[Callable[[], object]]:
        """Return one call."""
        return [self._spin]

    def _spin(self) -> None:
        start = time.perf_counter()
        end = start + self.seconds
        while (now := time.perf_counter()) < end:
            pass
        self.true_s.append(now - start)


class Pipeline:
    """Something with a stage that does nothing."""

    def __init__(self) -> None:
        self.unet = torch.nn.Identity()


def run() -> list[Line]:
    """Measure, and return the findings."""
    lines = []
    device = CpuDevice()
    for milliseconds, rounds in ((1, 200), (20, 60), (200, 12)):
        spin = Spin(milliseconds / 1e3)
        found = measure(spin, device, Rules(rounds=rounds, warmup_calls=1))
        reported = [r.wall_s for r in found.rounds]
        true = spin.true_s[-rounds:]
        ratio, low, high = ratio_of_pairs(reported, true)
        goal = "<= 0.1 %" if milliseconds == 20 else ""
        lines.append(
            Line(
                what=f"reported over true time of a workload that spins for {milliseconds} ms, {rounds} rounds",
                figure=f"{ratio - 1:+.4%} (95 % interval {low - 1:+.4%} to {high - 1:+.4%})",
                goal=goal,
                met=high - 1 <= 0.001 if goal else None,
            )
        )
    return [*lines, _price_of_a_mark(device)]


def _price_of_a_mark(device: CpuDevice) -> Line:
    pipeline = Pipeline()
    plain, marked = [], []
    for _ in range(15):
        plain.append(_time_calls(pipeline))
        with StageClock(pipeline, device) as clock:
            marked.append(_time_calls(pipeline))
            assert clock.denoiser_calls == _MARKED_CALLS
    micros = [(b - a) / _MARKED_CALLS * 1e6 for a, b in zip(plain, marked, strict=True)]
    per_round = [micro * _CALLS_OF_SD15 / 1e3 for micro in micros]
    return Line(
        what="a timed call of a component costs",
        figure=f"{location(micros, 'µs')}; the {_CALLS_OF_SD15} of an SD 1.5 call of 20 steps: "
        f"{location(per_round, 'ms')}",
    )


def _time_calls(pipeline: Pipeline) -> float:
    start = time.perf_counter()
    for _ in range(_MARKED_CALLS):
        pipeline.unet(None)
    return time.perf_counter() - start
