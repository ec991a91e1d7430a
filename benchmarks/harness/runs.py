"""Whole pytest runs in processes of their own: start-up, collection, the cost of a case, memory, pytest-benchmark."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness.environment import users_environment
from benchmarks.harness.report import Line, location, median_and_range, ratio_of_pairs

TITLE = "A run"
CASES, GRID = 100, 10_000
PRECISION = 0.02

# Notes what a run did when it ends: seconds of phases, memory, and times of the rounds.
CONFTEST = """
    import gc, json, time
    import psutil, pytest

    NOTES = {"phases": {}, "live_bytes": [], "rss": [], "collecting_s": 0.0}
    BEGAN = []
    SCHEDULERS = []  # whose time steps are as many as the case's steps

    def note_collection(phase, info):
        if info["generation"] == 2 and phase == "start":
            BEGAN.append(time.perf_counter())
        elif info["generation"] == 2:
            NOTES["collecting_s"] += time.perf_counter() - BEGAN.pop()

    gc.callbacks.append(note_collection)

    def pytest_collection(session):
        NOTES["collecting"] = time.perf_counter()

    def pytest_collection_finish(session):
        NOTES["collected_s"] = time.perf_counter() - NOTES["collecting"]

    def live_bytes():
        import torch
        gc.collect()
        if DEVICE != "cpu":
            return torch.cuda.memory_allocated(DEVICE)
        own = {id(value) for scheduler in SCHEDULERS for value in vars(scheduler).values()}
        storages = {}
        for found in gc.get_objects():
            if type(found) in (torch.Tensor, torch.nn.Parameter) and id(found) not in own:
                storage = found.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
        return sum(storages.values())

    @pytest.fixture
    def loaded(sd_pipeline):
        SCHEDULERS[:] = [sd_pipeline.scheduler]
        if WATCH and not NOTES["live_bytes"]:
            NOTES["live_bytes"].append(live_bytes())
        return sd_pipeline

    def pytest_runtest_logreport(report):
        phases = NOTES["phases"].setdefault(report.nodeid, {"ended": 0})
        phases[report.when] = report.duration
        phases["ended"] = time.perf_counter()
        if report.when == "call":
            phases["collecting"], NOTES["collecting_s"] = NOTES["collecting_s"], 0.0

    def pytest_runtest_logfinish(nodeid):
        if WATCH:
            NOTES["live_bytes"].append(live_bytes())
            NOTES["rss"].append(psutil.Process().memory_info().rss)

    def pytest_sessionfinish(session):
        with open("notes.json", "w") as file:
            json.dump(NOTES, file)
"""
BENCHMARK = """
    def test_generate(sd_benchmark, loaded):
        sd_benchmark(loaded)
"""
# The same call, timed by pytest-benchmark itself.
THEIRS = """
    import torch

    def test_generate(benchmark, sd_case, loaded):
        def call():
            return loaded("a red house", height=64, width=64, num_inference_steps=4, output_type="pt",
                          generator=torch.Generator().manual_seed(0))
        call()
        benchmark(call)
"""

_PARTS = {
    "memory round": "the memory round, one more round that is not timed",
    "collector": "full collections of garbage, so that no round pays for what ran before",
    "set-up": "set-up: fixtures, the pipeline from the pool",
    "call": "the rest of the call: stage clock, inputs, reading the device, checking outputs",
    "tear-down": "tear-down",
    "between two tests": "between two tests: report, record, journal, line, pytest itself",
}


def run() -> list[Line]:
    """Measure, and return the findings."""
    return [_start_up(), _collection(), *_cost_of_a_case(), *_memory(), *_against_pytest_benchmark()]


def _start_up() -> Line:
    millis = []
    with TemporaryDirectory() as folder:
        Path(folder, "test_plain.py").write_text("def test_plain(): pass\n")
        command = [sys.executable, "-X", "importtime", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        for number in range(21):
            said = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, check=True, env=users_environment()
            ).stderr
            if number == 0:  # pytest compiles what it has not seen yet
                continue
            ours = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+pytest_sdbatch\b.*$", said, re.MULTILINE)
            millis.append(sum(map(int, ours)) / 1000)
    return Line(
        what="start-up of a pytest run without benchmarks: our modules in `-X importtime`, themselves",
        figure=median_and_range(millis, "ms"),
        goal="15 ms",
        met=statistics.median(millis) < 15,
    )


def _collection() -> Line:
    seconds = []
    for _ in range(5):
        notes, _ = _pytest(BENCHMARK, "--collect-only", "--sd-batch-sizes=1:100", "--sd-batch-counts=1:100")
        seconds.append(notes["collected_s"])
    return Line(
        what=f"{GRID:,} cases collected (torch's import is part of it)",
        figure=median_and_range(seconds, "s"),
        goal="< 3 s",
        met=statistics.median(seconds) < 3,
    )


def _cost_of_a_case() -> list[Line]:
    notes, records = _pytest(BENCHMARK, "--sd-batch-sizes=1:2", f"--sd-steps=1:{CASES // 2}", "-o", "sd_rounds=3")
    parts: dict[str, list[float]] = {name: [] for name in _PARTS}
    by_id = {record["case_id"]: record for record in records}
    ended = None
    for node_id, phases in list(notes["phases"].items()):
        whole = phases["setup"] + phases["call"] + phases["teardown"]
        if ended is not None:  # the first case loads the pipeline and imports what it needs
            record = by_id[node_id.partition("[")[2][:-1]]
            beyond = phases["call"] - record["seconds"] - record["memory_round"] - phases["collecting"]
            parts["memory round"].append(record["memory_round"] * 1e3)
            parts["collector"].append(phases["collecting"] * 1e3)
            parts["set-up"].append(phases["setup"] * 1e3)
            parts["call"].append(beyond * 1e3)
            parts["tear-down"].append(phases["teardown"] * 1e3)
            parts["between two tests"].append((phases["ended"] - ended - whole) * 1e3)
        ended = phases["ended"]
    total = [sum(values) for values in zip(*parts.values(), strict=True)]
    lines = [Line(what=f"a case: {_PARTS[part]}", figure=location(values, "ms")) for part, values in parts.items()]
    return [Line(what=f"a case beyond its rounds, in all ({len(total)} cases)", figure=location(total, "ms")), *lines]


def _memory() -> list[Line]:
    import torch

    grid = ("--sd-batch-sizes=1:4", f"--sd-steps=1:{CASES // 4}", "-o", "sd_rounds=3")
    notes, _ = _pytest(BENCHMARK, *grid, watch=True)
    after_load, *live = notes["live_bytes"]
    growth = (notes["rss"][-1] - notes["rss"][0]) / 2**20
    on_gpu = [_gpu_memory(grid)] if torch.cuda.is_available() else []
    return [
        *on_gpu,
        Line(
            what=f"live tensor storages after {len(live)} cases against those after loading, without the scheduler's",
            figure=f"{live[-2]:,} bytes against {after_load:,}",  # the last case frees the pipeline itself
            goal="equal",
            met=live[-2] == after_load,
        ),
        Line(
            what=f"growth of resident memory from case 1 to case {len(notes['rss'])}",
            figure=f"{growth:.1f} MiB",
            goal="< 50 MiB",
            met=growth < 50,
        ),
    ]


def _gpu_memory(grid: Sequence[str]) -> Line:
    notes, _ = _pytest(BENCHMARK, *grid, watch=True, device="cuda:0")
    _, first, *later = notes["live_bytes"][:-1]  # the last case frees the pipeline itself
    return Line(
        what=f"allocated on the GPU after cases 2 to {len(later) + 1} against after case 1",
        figure=f"{min(later):,} to {max(later):,} bytes against {first:,}",
        goal="equal",
        met=set(later) == {first},
    )


def _against_pytest_benchmark() -> list[Line]:
    ours, theirs, rounds_ours, rounds_theirs = [], [], [], []
    for _ in range(6):
        notes, records = _pytest(
            BENCHMARK, "--sd-batch-sizes=1", "-o", f"sd_precision={PRECISION}", "-o", "sd_max_rounds=100000",
            "-o", "sd_max_seconds=120",
        )  # fmt: skip
        (phases,) = notes["phases"].values()
        ours.append(phases["call"])
        rounds_ours.append(records[0]["rounds"])
        notes, stats = _pytest(
            THEIRS, "--sd-batch-sizes=1", f"--benchmark-precision={PRECISION}", "--benchmark-max-time=120",
            "--benchmark-min-rounds=5", "--benchmark-json=theirs.json",
        )  # fmt: skip
        (phases,) = notes["phases"].values()
        theirs.append(phases["call"])
        rounds_theirs.append(stats[0]["rounds"])
    ratio, low, high = ratio_of_pairs(ours, theirs)
    return [
        Line(
            what=f"wall time of a test to a 99 % interval of ±{PRECISION:.0%}, ours over pytest-benchmark's with "
            f"--benchmark-precision, {len(ours)} pairs in turn",
            figure=f"{ratio:.2f} (95 % interval {low:.2f} to {high:.2f}); ours {median_and_range(ours, 's')} in "
            f"{statistics.median(rounds_ours):.0f} rounds, theirs {median_and_range(theirs, 's')} in "
            f"{statistics.median(rounds_theirs):.0f}",
        )
    ]


def _pytest(
    benchmark: str, *arguments: str, watch: bool = False, device: str = "cpu"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run one benchmark file; return what its conftest noted, and id, seconds and rounds of its records."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(f"WATCH, DEVICE = {watch}, {device!r}\n" + textwrap.dedent(CONFTEST))
        (folder / "test_it.py").write_text(textwrap.dedent(benchmark))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--sd-models=tiny-sd"]
        command += [f"--sd-device={device}", "--benchmark-json=run.json", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=users_environment())
        if done.returncode != 0:
            raise RuntimeError(f"the run failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        notes = json.loads((folder / "notes.json").read_text())
        files = [file for file in (folder / "theirs.json", folder / "run.json") if file.exists()]
        rows = json.loads(files[0].read_text())["benchmarks"] if files and "--collect-only" not in arguments else []
    return notes, [_figures(row) for row in rows]


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    record = row.get("sdbatch", {}).get("record", {"warmup_ns": []})
    return {
        "case_id": row["param"],
        "rounds": row["stats"]["rounds"],
        "seconds": row["stats"]["total"] + sum(record["warmup_ns"]) / 1e9,
        "memory_round": ((record.get("memory_round") or {}).get("time_s") or [0.0])[-1],
    }
