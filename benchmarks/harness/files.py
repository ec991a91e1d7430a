"""Run files and journals: a large run written and read, and what one record costs on its way."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness.environment import users_environment
from benchmarks.harness.report import Line, median_and_range
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Derived, Environment, Outcome, Reading, Record, Round, Run, Weights
from pytest_sdbatch.storage.codec import decode_record, encode_record
from pytest_sdbatch.storage.journal import Entry, Journal
from pytest_sdbatch.storage.run_file import read_run_file, write_run

TITLE = "Files"
RECORDS, ROUNDS, TIMES = 10_000, 30, 5
COMPARE = "import sys; from pytest_sdbatch.cli import main; sys.exit(main())"
STAGES = {"text_encoder": 0.02, "denoiser": 0.8, "scheduler": 0.01, "vae": 0.15}


def run() -> list[Line]:
    """Measure, and return the findings."""
    chance = random.Random(0)
    # As a session holds them: every record came over the wire of a test report.
    wired = [decode_record(encode_record(make_record(number, chance))) for number in range(RECORDS)]
    environment = Environment(
        must_match={"device_kind": "cpu", "threads": 1, "cores": 2}, drift={"torch": "2"}, shown={"commit": "abc"}
    )
    run = Run(
        id="run", started_at="2026-01-01T00:00:00+00:00", environment=environment, options={}, records=tuple(wired)
    )
    written, read = [], []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(TIMES):
            path = folder / f"{number}.json"
            written.append(_seconds(write_run, path, [run]))
            read.append(_seconds(read_run_file, path))
        size = path.stat().st_size / 2**20
        write_run(folder / "other.json", [replace(run, id="other")])
        _compare(path, folder / "other.json")  # may have modules to compile
        compared = [_seconds(_compare, path, folder / "other.json") for _ in range(TIMES)]
        journal = Journal(folder / "journal", run)
        entries = [Entry(record=record, options={}) for record in wired[:50]]
        journalled = [_seconds(journal.add, entry) * 1e3 for entry in entries]
        journal.close(whole=True)
    fresh = [make_record(number, chance) for number in range(200)]
    encoded = [_seconds(_through_plain, record) * 1e3 for record in fresh]
    return [
        Line(
            what=f"a run file of {RECORDS:,} records of {ROUNDS} rounds, four stages, {size:.0f} MiB, written",
            figure=median_and_range(written, "s"),
            goal="< 1 s",
            met=min(written) < 1,
        ),
        Line(what="the same, read and checked", figure=median_and_range(read, "s"), goal="< 1 s", met=min(read) < 1),
        Line(
            what="`sdbatch compare` of two such files, the whole command",
            figure=median_and_range(compared, "s"),
            goal="< 3 s",
            met=min(compared) < 3,
        ),
        Line(what="one record into the journal, to the disk", figure=median_and_range(journalled, "ms")),
        Line(what="one record into plain builtins and back", figure=median_and_range(encoded, "ms")),
    ]


def _seconds(action: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def _compare(base: Path, candidate: Path) -> None:
    command = [sys.executable, "-c", COMPARE, "compare", str(base), "--candidate", str(candidate)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=users_environment())


def _through_plain(record: Record) -> Record:
    return decode_record(encode_record(record))


def make_record(number: int, chance: random.Random) -> Record:
    """Return the record of case *number* of a large grid: 30 rounds, four stages."""
    rounds = []
    for _ in range(ROUNDS):
        wall_s = chance.uniform(1, 2)
        stage_s = {name: share * wall_s for name, share in STAGES.items()}
        peak = chance.randrange(2**33)
        rounds.append(
            Round(
                wall_s=wall_s,
                cpu_s=wall_s,
                call_s=(wall_s * 0.999,),
                stage_s=stage_s,
                host_peak_bytes=peak,
                run_delay_s=0.01 * wall_s,
            )
        )
    size, count = number % 100 + 1, number // 100 + 1
    return Record(
        test="benchmarks/test_generation.py::test_text_to_image",
        case=Case(
            model="sd15",
            dtype="bf16",
            device="cpu",
            height=512,
            width=512,
            steps=20,
            batch_size=size,
            batch_count=count,
        ),
        outcome=Outcome.OK,
        rounds=tuple(rounds),
        warmup_s=(3.0, 1.5),
        cold_start_s=Reading(value=3.0),
        load_s=Reading(value=10.0),
        memory_source="host_peak_bytes",
        must_match={"seed": 0, "prompts": "0123abcd", "compile_cache": None},
        weights=Weights(kind="random", seed=0, fill="1"),
        derived=Derived(denoiser_batch=2 * size, denoiser_calls=20, parameters=10**9, scheduler="PNDMScheduler"),
    )
