"""Runs as a report gets them, made by hand: a GPU of a given speed, a case that does not fit, hostile names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_sdbatch.analysis.splits import Objective
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.records import (
    Environment,
    Fact,
    MemoryRound,
    Outcome,
    Reading,
    Record,
    Round,
    Run,
    StopReason,
    Trained,
)
from pytest_sdbatch.report.sources import Reported, RunFile, sources_of
from pytest_sdbatch.report.splits import Question

GIB = 2**30
TEST = "benchmarks/test_generation.py::test_text_to_image"
SIZES = (1, 2, 4, 8, 16)
HOSTILE = (
    '<img src=x onerror="document.title=1">',
    "</script><script>document.title=2</script>",
    "| @team",
    "::error::boo",
    "##[error]boo",
    "\x1b[31mred",
    "a\u202eb",
    "[b]bold[/b]",
    '=cmd("x")',
    "a;=1+1",
    "${7*7}{{7*7}}",
    "<!--",
    "'\"`",
)


def case(batch_size: int, **changes: Any) -> Case:
    """Return a case of Stable Diffusion 1.5 on a GPU."""
    usual: dict[str, Any] = {
        "model": "sd15", "dtype": "bf16", "device": "cuda:0", "height": 512, "width": 512, "steps": 20,
        "batch_count": 1,
    }  # fmt: skip
    return Case(**{**usual, "batch_size": batch_size, **changes})


def rounds(call_s: float, batch_size: int, *, number: int = 0, count: int = 12, batch_count: int = 1) -> list[Round]:
    """Return rounds that differ by less than a percent, the first ones a little slower."""
    phase = 78.2 * batch_size + 37.7 * number
    wobble = [1 + 0.006 * math.cos(10 * math.pi * k / count + phase) + 0.01 / (k + 1) for k in range(count)]
    return [
        Round(
            wall_s=call_s * batch_count * factor,
            cpu_s=0.1,
            call_s=(call_s * factor,) * batch_count,
            stage_s={
                "text_encoder": 0.02 * call_s * batch_count,
                "denoiser": 0.86 * call_s * batch_count,
                "scheduler": 0.01 * call_s * batch_count,
                "vae_decode": 0.09 * call_s * batch_count,
            },
            peak_allocated_bytes=int((2.4 + 0.9 * batch_size) * GIB),
            energy_joules=350.0 * call_s * batch_count,
            sm_clock_mhz=1755,
            temperature_celsius=61,
        )
        for factor in wobble
    ]


def memory_round(batch_size: int, call_s: float, *, limit_gib: float = 76.0) -> MemoryRound:
    """Return a memory round whose VAE takes more than the denoiser from batch size 3 on."""
    peaks = {"text_encoder": 2.1, "denoiser": 3.0 + 0.3 * batch_size, "vae_decode": 2.4 + 0.9 * batch_size}
    times = [round(call_s * k / 40, 3) for k in range(41)]
    shape = [2.6 if k == 40 else peaks["vae_decode" if k > 35 else "denoiser"] + 0.02 * (k % 3) for k in range(41)]
    return MemoryRound(
        scope="device",
        before_context=Reading(value=int(0.5 * GIB)),
        context=Reading(value=int(1.0 * GIB)),
        before_load=Reading(value=int(1.0 * GIB)),
        loaded=Reading(value=int(2.4 * GIB)),
        peak=Reading(value=int(max(shape) * GIB)),
        after=Reading(value=int(2.6 * GIB)),
        time_s=tuple(times),
        used_bytes=tuple(int(value * GIB) for value in shape),
        stage_peak_bytes={name: int(value * GIB) for name, value in peaks.items()},
        limit_bytes=int(limit_gib * GIB),
        reserved_bytes=int((2.5 + 1.2 * batch_size) * GIB),
        unreleasable_bytes=int((0.1 + 0.05 * batch_size) * GIB),
    )


def record(batch_size: int, *, a_s: float = 0.18, c_s: float = 0.12, number: int = 0, **changes: Any) -> Record:
    """Return a sound record of a call of ``a_s + c_s batch_size`` seconds, or what *changes* make of it."""
    call_s = (a_s + c_s * batch_size) * (1 + 0.003 * math.cos(2 * number + 5 * batch_size))
    own = {name: changes.pop(name) for name in ("model", "dtype", "variant", "batch_count") if name in changes}
    usual: dict[str, Any] = {
        "test": TEST,
        "case": case(batch_size, **own),
        "outcome": Outcome.OK,
        "rounds": tuple(rounds(call_s, batch_size, number=number, batch_count=own.get("batch_count", 1))),
        "warmup_s": (3 * call_s, 1.08 * call_s),
        "cold_start_s": Reading(value=3 * call_s),
        "load_s": Reading(value=4.2),
        "memory_source": "peak_allocated_bytes",
        "memory_round": memory_round(batch_size, call_s),
        "stopped": StopReason.PRECISION,
        "output_check": "checked",
    }
    return Record(**{**usual, **changes})


def trained(batch_size: int, *, images: int = 100, accumulation: int = 1, **changes: Any) -> Record:
    """Return a sound record of a LoRA step of ``0.1 + 0.05 batch_size`` seconds for each batch of it."""
    step_s = (0.1 + 0.05 * batch_size) * accumulation
    how = Training(accumulation=accumulation)
    own = case(batch_size, batch_count=-(-images // batch_size), steps=1, training=how)
    made = [
        replace(one, stage_s={"forward": 0.3 * step_s, "backward": 0.6 * step_s, "optimizer": 0.1 * step_s})
        for one in rounds(step_s, batch_size)
    ]
    peaks = {"forward": 3.0 + batch_size, "backward": 4.0 + batch_size, "optimizer": 3.0}
    memory = replace(
        memory_round(batch_size, step_s),
        stage_peak_bytes={name: int(value * GIB) for name, value in peaks.items()},
    )
    return record(
        batch_size, case=own, rounds=tuple(made), warmup_s=(3 * step_s,), memory_round=memory,
        trained=Trained(effective_batch=own.images, accumulation=accumulation, images=images), **changes,
    )  # fmt: skip


def out_of_memory(batch_size: int, **changes: Any) -> Record:
    """Return a record of a case that did not fit."""
    return record(
        batch_size, outcome=Outcome.OOM, reason="out of memory in vae_decode: 9.00 GiB asked for, 2.31 GiB free",
        rounds=(), memory_round=None, test_outcome="skipped", stopped=StopReason.FAILED, **changes,
    )  # fmt: skip


def environment(**changes: Fact) -> Environment:
    """Return the environment of a GPU; what *changes* names is put where it belongs."""
    parts: dict[str, dict[str, Fact]] = {
        "must_match": {
            "device_kind": "cuda",
            "device_name": "NVIDIA H100 80GB HBM3",
            "device_uuid": "0123abcd",
            "torch": "2.13.0",
        },
        "drift": {"driver": "580.65.06", "power_limit_w": 700},
        "shown": {"commit": "0123abcdef0123", "dirty": False, "diffusers": "0.42.1"},
    }
    for facts in parts.values():
        facts.update({key: value for key, value in changes.items() if key in facts})
    return Environment(**parts, unknown={"ecc_errors": "the driver does not tell"})


def run(*records: Record, number: int = 0, where: Mapping[str, Fact] | None = None, **changes: Any) -> Run:
    """Return a run of *records*, by default of a sweep."""
    usual: dict[str, Any] = {
        "id": f"20261128T101500{number:06d}Z-1a2b3c4d",
        "started_at": f"2026-11-28T10:{number % 60:02d}:00+00:00",
        "environment": environment(**(where or {})),
        "options": {"batch_sizes": "1,2,4,8,16"},
        "records": records or tuple(record(size, number=number) for size in SIZES),
        "plugin_version": "0.1.0",
    }
    return Run(**{**usual, **changes})


def reported(
    *files: Sequence[Run], prices: Mapping[str, float] | None = None, images: int | None = None, **changes: Any
) -> Reported:
    """Return a report of files with these runs; *prices* are dollars an hour by name of a device."""

    def question(run: Run) -> Question:
        price = (prices or {}).get(str(run.environment.must_match["device_name"]))
        price_per_s = None if price is None else price / 3600
        return Question(price_per_s=price_per_s, images=images, objective=Objective.THROUGHPUT)

    made = [RunFile(name=f"run{k}.json", runs=tuple(runs)) for k, runs in enumerate(files)]
    return Reported(sources=sources_of(made, question), **changes)


def hostile_run() -> Run:
    """Return a run in which all text that may come from outside tries to be more than text."""
    text = "".join(HOSTILE)
    records = tuple(record(size, test=f"test_{text}.py::test_{text}", model=text) for size in (1, 2, 4))
    bad = record(
        8, test=f"test_{text}.py::test_{text}", model=text, outcome=Outcome.CRASHED, reason=text, rounds=(),
        memory_round=None,
    )  # fmt: skip
    made = run(*records, bad, where={"device_name": text, "commit": text, "driver": text})
    return replace(made, environment=replace(made.environment, unknown={text: text}))
