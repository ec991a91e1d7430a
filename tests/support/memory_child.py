"""A process that measures the memory of a decoder at some batch sizes, predicts, and tries: run by test_memory_limits.

Arguments: ``limit ROOM_MIB SIZES`` sets RLIMIT_AS to what the process has mapped by then and ROOM_MIB more, measures
at SIZES, and tries the largest predicted size and 1.2 times that; ``predict SIZES TARGET`` measures the resident peak
at SIZES and at TARGET. Prints one JSON object.
"""

from __future__ import annotations

import json
import math
import resource
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderKL

from pytest_sdbatch.analysis.forecast import ADDRESS_SPACE, MEMORY, Growth, growths
from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.host import HostMemory
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.measure.memory import measure_memory
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.records import Outcome, Record

MIB = 2**20
PIXELS = 256


class Decoding:
    """One call that decodes *batch_size* images."""

    def __init__(self, vae: Any, batch_size: int) -> None:
        self._vae = vae
        self._batch_size = batch_size

    def prepare(self) -> list[Callable[[], object]]:
        """Return the call."""
        return [self.call]

    def call(self) -> object:
        """Decode."""
        with torch.no_grad():
            return self._vae.decode(torch.zeros(self._batch_size, 4, PIXELS // 2, PIXELS // 2))


def decoder() -> Any:
    """Return the decoder of a pipeline, small enough that memory and not arithmetic is what it takes."""
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(16, 16),
        norm_num_groups=8,
        mid_block_add_attention=False,
    ).eval()


def measured(vae: Any, batch_size: int) -> Record:
    """Return the record of a memory round; out of memory is an outcome."""
    device = CpuDevice()
    with StageClock(SimpleNamespace(vae=vae), device) as stages:
        made, reason = measure_memory(Decoding(vae, batch_size), device, loading=None, stages=stages)
    case = Case(
        model=None,
        dtype="fp32",
        device="cpu",
        height=PIXELS,
        width=PIXELS,
        steps=1,
        batch_size=batch_size,
        batch_count=1,
    )
    return Record(
        test="decoder",
        case=case,
        outcome=Outcome.OK if reason is None else Outcome.OOM,
        memory_source="host_peak_bytes",
        memory_round=made,
        memory_round_reason=reason,
    )


def growth_of(records: list[Record], measure: str) -> Growth:
    """Return how the memory of that measure grows."""
    return next(growth for growth in growths(records) if growth.measure == measure)


def limit(room_mib: str, sizes: str) -> dict[str, object]:
    """Predict the largest size under a limit of address space, and try it and 1.2 times it."""
    vae = decoder()
    measured(vae, 1)  # what libraries map when they are first used is no part of a batch
    mapped = int(HostMemory().address_space().used.value or 0)
    granted = mapped + int(room_mib) * MIB
    resource.setrlimit(resource.RLIMIT_AS, (granted, granted))
    records = [measured(vae, int(size)) for size in sizes.split(",")]
    largest = growth_of(records, ADDRESS_SPACE).largest_batch(granted).estimate or 0
    beyond = math.ceil(1.2 * largest)
    return {
        "largest": largest,
        "runs": measured(vae, largest).outcome.value,
        "beyond": beyond,
        "beyond_runs": measured(vae, beyond).outcome.value,
    }


def predict(sizes: str, target: str) -> dict[str, object]:
    """Predict the resident peak at *target* and measure it."""
    vae = decoder()
    measured(vae, 1)
    growth = growth_of([measured(vae, int(size)) for size in sizes.split(",")], MEMORY)
    made = measured(vae, int(target)).memory_round
    assert made is not None
    assert made.stage_peak_bytes is not None, made.stage_peak_reason
    truth = max(made.stage_peak_bytes.values())
    return {"predicted": growth.needs(int(target)).estimate, "measured": truth}


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    print(json.dumps(limit(*arguments) if what == "limit" else predict(*arguments)))
