"""Baselines made without processes: one run on the fake device, and what others would have measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark_run import GENERATE, Result, RunBenchmark

from pytest_sdbatch import read_run_file
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.records import Run
from pytest_sdbatch.storage.baselines import BaselineFolder, save_baseline
from pytest_sdbatch.storage.names import baseline_key

QUIET = (1.0, 1.002, 0.999, 1.001, 0.998)  # what processes differ by
SIZES = "--sd-batch-sizes=1,4"
GATE = ("--sd-baseline=main", "--sd-gate", SIZES)

RecordBaseline = Callable[..., Path]
_MEASURED: dict[tuple[str, str], Run] = {}  # by arguments and source: measured once, for all tests


def device(factor: float = 1.0, **changes: int) -> FakeDevice:
    """Return a device that is slower by *factor* than another one."""
    return FakeDevice(seconds_per_call=0.1 * factor, seconds_per_image=0.1 * factor, **changes)  # type: ignore[arg-type]


def recorder(run_benchmark: RunBenchmark, folder: Path) -> RecordBaseline:
    """Return a function that stores runs below *folder*, one for each factor, and returns their file."""

    def run(
        arguments: str = SIZES, *, factors: Sequence[float] = QUIET, source: str = GENERATE, name: str = "main"
    ) -> Path:
        if (arguments, source) not in _MEASURED:
            report = folder / "measured.json"
            run_benchmark(f"--sd-report={report}", arguments, device=device(), source=source)
            _MEASURED[arguments, source] = read_run_file(report)[0]
        runs = [scaled(_MEASURED[arguments, source], factor) for factor in factors]
        baselines = BaselineFolder(path=folder / "benchmarks" / "baselines")
        key = baseline_key(name, runs[0].environment)
        save_baseline(baselines, key, runs, anyway=True)
        return baselines.path / key

    return run


def ended(result: Result) -> tuple[int, str]:
    """Return the exit status and the last line of a run."""
    return int(result.run.ret), result.run.stdout.str().rstrip().splitlines()[-1]


def scaled(run: Run, factor: float) -> Run:
    """Return *run* as a process that is slower by *factor* would have measured it."""
    records = tuple(
        replace(r, rounds=tuple(replace(reading, wall_s=reading.wall_s * factor) for reading in r.rounds))
        for r in run.records
    )
    return replace(run, id=f"{run.id}-{factor}", records=records)
