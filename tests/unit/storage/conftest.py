"""Records and runs to store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stores import scripted, store  # noqa: F401 - fixtures

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Reading, Record, Round, Run

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Run]


@pytest.fixture
def make_case() -> Callable[..., Case]:
    """Return a function that makes a case; keywords replace its fields."""

    def make(**fields: Any) -> Case:
        usual: dict[str, Any] = {"model": "tiny-sd", "dtype": "fp32", "device": "cpu", "height": 64, "width": 64}
        return Case(**{**usual, "steps": 4, "batch_size": 1, "batch_count": 1, **fields})

    return make


@pytest.fixture
def make_record(make_case: Callable[..., Case]) -> MakeRecord:
    """Return a function that makes a record of the given wall seconds."""

    def make(*seconds: float, **fields: Any) -> Record:
        rounds = tuple(
            Round(wall_s=s, cpu_s=2 * s, call_s=(s,), stage_s={"denoiser": s / 2}, host_peak_bytes=2**30)
            for s in seconds
        )
        case = make_case(**{name: fields.pop(name) for name in ("batch_size", "model", "device") if name in fields})
        usual = {
            "test": "benchmarks/test_x.py::test_text_to_image",
            "case": case,
            "outcome": Outcome.OK,
            "rounds": rounds,
            "memory_source": "host_peak_bytes",
            "warmup_s": (1.5, 0.25),
            "cold_start_s": Reading(value=1.5),
            "load_s": Reading(reason="the pipeline is the test's own"),
        }
        return Record(**{**usual, **fields})

    return make


@pytest.fixture
def make_run(make_record: MakeRecord) -> MakeRun:
    """Return a function that makes a run of the given records, by default of one."""

    def make(*records: Record, **fields: Any) -> Run:
        usual: dict[str, Any] = {
            "id": "20261123T101500Z-1a2b",
            "started_at": "2026-11-23T10:15:00+00:00",
            "environment": Environment(
                must_match={"device_kind": "cpu", "device_name": "Some CPU @ 2.00GHz", "threads": 2},
                drift={"torch": "2.13.0"},
                shown={"commit": "0123abc", "dirty": True},
                unknown={"driver": "no GPU"},
            ),
            "options": {"batch_sizes": "1,4"},
            "records": records or (make_record(0.5, 0.25, 0.75),),
            "plugin_version": "0.1.0",
        }
        return Run(**{**usual, **fields})

    return make


@pytest.fixture
def two_runs(make_record: MakeRecord, make_run: MakeRun) -> tuple[Run, Run]:
    """Two runs of the same cases: one with numbers in both, one that fits only once, one that never fits."""
    first = make_run(
        make_record(0.5, 0.25, 0.75, batch_size=4),
        make_record(batch_size=16, outcome=Outcome.OOM, reason="asked for 3 GiB", test_outcome="skipped"),
        make_record(1.0, 1.25, 1.5, batch_size=8),
        id="run-1",
    )
    second = make_run(
        make_record(0.5, 0.5, 0.5, batch_size=4),
        make_record(batch_size=8, outcome=Outcome.OOM, test_outcome="skipped"),
        make_record(batch_size=16, outcome=Outcome.SKIPPED, reason="larger than one that did not fit"),
        id="run-2",
        interrupted=True,
    )
    return first, second
