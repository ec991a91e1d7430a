"""Find which batch sizes of sd15 run in how much memory of a GPU: ``python tools/memory_limits.py limits.json``.

First without a limit, for what the predictions are made from; then, under each of several limits that torch grants the
process, the largest size that runs is searched for between the predicted one and half as many again. About a minute on
one GPU, whatever else runs there as long as it leaves the limits free. The file is written after each limit. What came
of it on one card is in docs/results/limits, and tests hold the predictions against that.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from pytest_sdbatch.devices.cuda import CudaDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.anatomy import hide_progress
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.generation import GenerationWorkload
from pytest_sdbatch.pipelines.pool import PipelinePool

CASE = Case(model="sd15", dtype="fp16", device="cuda:0", height=512, width=512, steps=1, batch_size=1, batch_count=1)
PROBES = (1, 2, 3, 4, 6, 8, 16)
LIMITS_GIB = (9, 11, 12, 13, 15, 18, 20)
_ABOVE = 1.5  # times what live tensors predict: more than ever ran


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="is made, or written over")
    given = parser.parse_args(arguments)
    import torch

    if not torch.cuda.is_available():
        print(f"no CUDA GPU here (torch {torch.__version__}): this tool looks into the memory of one", file=sys.stderr)
        return 1
    device = CudaDevice(0)
    device.start()
    pipeline = PipelinePool(device, ModelCatalog()).acquire(CASE).pipeline
    hide_progress(pipeline)
    head = {
        "made_by": "python tools/memory_limits.py",
        "model": f"{CASE.model}, {CASE.dtype}, {CASE.width}x{CASE.height}, 1 step, guidance, random weights",
        "device": torch.cuda.get_device_properties(0).name,
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "diffusers": metadata.version("diffusers"),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    found: list[dict[str, Any]] = []
    for more in series(device, pipeline):
        found += more
        lines = ",\n".join(map(json.dumps, found))
        text = "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
        given.file.write_text(f'{{\n{text}"calls": [\n{lines}\n]\n}}\n', encoding="utf-8")
    return 0


def series(device: CudaDevice, pipeline: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield what came of the calls without a limit, and of those under each limit that the card has room for."""
    import torch

    free, total = torch.cuda.mem_get_info(0)
    probes = [call(device, pipeline, size) for size in PROBES]
    yield probes
    first, *_, last = [one for one in probes if one["ran"] and one["batch_size"] > 1]
    slope = (last["allocated_bytes"] - first["allocated_bytes"]) / (last["batch_size"] - first["batch_size"])
    held = first["allocated_bytes"] - first["batch_size"] * slope
    for granted in (limit * 2**30 for limit in LIMITS_GIB if limit * 2**30 < free):
        torch.cuda.set_per_process_memory_fraction(granted / total, 0)
        predicted = int((granted - held) / slope)
        yield list(largest(device, pipeline, granted, predicted, int(_ABOVE * predicted)))


def largest(device: CudaDevice, pipeline: Any, granted_bytes: int, least: int, most: int) -> Iterator[dict[str, Any]]:
    """Yield the calls of a search by halves for the largest size that runs, from *least* to *most*."""
    while least <= most:
        size = (least + most + 1) // 2
        made = call(device, pipeline, size, granted_bytes)
        yield made
        least, most = (size + 1, most) if made["ran"] else (least, size - 1)


def call(device: CudaDevice, pipeline: Any, batch_size: int, granted_bytes: int | None = None) -> dict[str, Any]:
    """Make *batch_size* images with an empty allocator; return whether they were made, and the peaks.

    Raises:
        RuntimeError: what a call raised, unless memory ran out.

    """
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(0)
    before = torch.cuda.memory_stats(0)["num_alloc_retries"]
    ran = True
    try:
        for action in GenerationWorkload(pipeline, replace(CASE, batch_size=batch_size)).prepare():
            action()
        torch.cuda.synchronize(0)
    except RuntimeError as error:
        if not device.is_out_of_memory(error):
            raise
        ran = False
    stats = torch.cuda.memory_stats(0)
    return {
        "batch_size": batch_size,
        "granted_bytes": granted_bytes,
        "ran": ran,
        "allocated_bytes": stats["allocated_bytes.all.peak"],
        "reserved_bytes": stats["reserved_bytes.all.peak"],
        "unreleasable_bytes": stats["inactive_split_bytes.all.peak"],
        "refusals": stats["num_alloc_retries"] - before,  # of the driver, upon which the cache was emptied
    }


if __name__ == "__main__":
    sys.exit(main())
