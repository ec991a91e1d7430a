"""pytest-benchmark's file schema, as its command line, github-action-benchmark and Bencher read it."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Fact, Record, full_name, short_name
from pytest_sdbatch.storage import columns

SCHEMA_VERSION = "5.3.1"  # the release of pytest-benchmark whose schema this is


def entry(test: str, case: Case, records: Sequence[Record]) -> dict[str, Any]:
    """Return one item of ``benchmarks[]`` from the records of one case that have numbers, one per run."""
    seconds, name = _seconds(records), full_name(test, case)
    return {
        "extra_info": {"images": case.images},
        "fullname": name,
        "group": None,
        "name": short_name(name),
        "options": {},
        "param": case.id,
        "params": parameters(case),
        "stats": {**stats(seconds), **_figures(seconds, records), "data": seconds, "iterations": 1},
    }


def parameters(case: Case) -> dict[str, Fact]:
    """Return the test parameters of *case*."""
    return {
        "sd_model": case.model,
        "sd_dtype": case.dtype,
        "sd_device": case.device,
        "sd_variant": case.variant,
        "sd_resolution": f"{case.height}x{case.width}",
        "sd_steps": case.steps,
        "sd_batch_size": case.batch_size,
        "sd_batch_count": case.batch_count,
        **({} if case.training is None else {"sd_accumulation": case.training.accumulation}),
    }


def figures(records: Sequence[Record]) -> dict[str, float]:
    """Return our own numbers beside pytest-benchmark's: of the kept rounds of the records of one case, all runs.

    ``images_per_s`` and ``s_per_image`` come from the trimmed location of the rounds, not from their mean;
    ``peak_memory_bytes`` is in the measure that the records name, ``peak_device_bytes`` is what all processes held of
    the device in the memory round, ``joules_per_image`` is the device's. What is not known is left out.
    """
    return _figures(_seconds(records), records)


def _figures(seconds: Sequence[float], records: Sequence[Record]) -> dict[str, float]:
    found: dict[str, float] = {}
    if seconds and min(seconds) > 0:
        found["s_per_image"] = location_s(seconds) / records[0].case.images
        found["images_per_s"] = 1.0 / found["s_per_image"]
    known = [peak for record in records for peak in columns.peaks(record)]
    if known:
        found["peak_memory_bytes"] = max(known)
    held = [peak for record in records if (peak := record.peak_device_bytes) is not None]
    if held:
        found["peak_device_bytes"] = max(held)
    joules = [math.fsum(read) / len(read) for record in records if (read := columns.joules(record))]
    if joules:
        found["joules_per_image"] = statistics.fmean(joules) / records[0].case.images
    return found


def stats(seconds: Sequence[float]) -> dict[str, Any]:
    """Return pytest-benchmark's statistics of *seconds* (at least one), under its names and by its definitions.

    The spread of a single round is 0 there, and ops of no time at all is 0: never NaN, on which
    github-action-benchmark breaks.
    """
    data = sorted(seconds)
    count, total = len(data), math.fsum(data)
    mean = total / count
    stddev = math.sqrt(math.fsum((value - mean) ** 2 for value in data) / (count - 1)) if count > 1 else 0.0
    q1, q3 = _quartiles(data)
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    far, outside = _beyond(data, mean - stddev, mean + stddev), _beyond(data, low, high)
    return {
        "min": data[0],
        "max": data[-1],
        "mean": mean,
        "stddev": stddev,
        "rounds": count,
        "median": statistics.median(data),
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outside,
        "stddev_outliers": far,
        "outliers": f"{far};{outside}",
        "ld15iqr": data[bisect_left(data, low)] if count > 1 else data[0],
        "hd15iqr": data[bisect_right(data, high) - 1] if count > 1 else data[0],
        "ops": count / total if total else 0.0,
        "total": total,
    }


def machine_info(environment: Environment) -> dict[str, Fact]:
    """Return the facts of *environment* as one table. ``node`` is empty: the host's name is not ours to give away."""
    return {**environment.shown, **environment.drift, **environment.must_match, "node": ""}


def commit_info(shown: Mapping[str, Fact]) -> dict[str, Fact]:
    """Return what is known of the code that ran, under pytest-benchmark's names."""
    return {
        "id": shown.get("commit") or "unversioned",
        "time": None,
        "author_time": None,
        "dirty": bool(shown.get("dirty")),
        "project": shown.get("project") or "",
        "branch": shown.get("branch") or "(unknown)",
    }


def _seconds(records: Sequence[Record]) -> list[float]:
    return [seconds for record in records for seconds in columns.wall_s(record)]


def _beyond(data: Sequence[float], low: float, high: float) -> int:
    """Return how many of the ascending *data* are below *low* or above *high*."""
    return bisect_left(data, low) + len(data) - bisect_right(data, high)


def _quartiles(data: Sequence[float]) -> tuple[float, float]:
    """Return Q1 and Q3 as pytest-benchmark defines them: methods 2 (even) and 3 (odd) of Wikipedia's list."""
    count = len(data)
    if count == 1:
        return data[0], data[0]
    if count % 2 == 0:
        return statistics.median(data[: count // 2]), statistics.median(data[count // 2 :])
    n = count // 4
    if count % 4 == 1:
        return 0.25 * data[n - 1] + 0.75 * data[n], 0.75 * data[3 * n] + 0.25 * data[3 * n + 1]
    return 0.75 * data[n] + 0.25 * data[n + 1], 0.25 * data[3 * n + 1] + 0.75 * data[3 * n + 2]
