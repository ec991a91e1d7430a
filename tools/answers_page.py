"""Measure what docs/explanation/batch-size-or-batch-count.md shows: ``python tools/answers_page.py``.

Each device has a run file in docs/results; the page shows all of them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_sdbatch import Run, read_run_file, units
from pytest_sdbatch.analysis.scaling import Bounds, Scaling, fit
from pytest_sdbatch.report.answer import answer_of_runs, plan_table
from pytest_sdbatch.report.measured import of_runs
from pytest_sdbatch.report.splits import Question
from pytest_sdbatch.report.table import rows

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "explanation" / "batch-size-or-batch-count.md"
RESULTS = DOCS / "results"
BEGIN, END = "<!-- measured -->\n", "<!-- end of measured -->\n"
# Small enough for minutes on a CPU; on a GPU what people make.
SWEEPS = {
    "cpu": ("--sd-resolutions=128", "--sd-steps=2", "--sd-batch-sizes=1,2,4", "-o", "sd_max_rounds=6"),
    "cuda": ("--sd-batch-sizes=1:32:x2",),
}
IMAGES = 16  # whose splits are shown


def main(words: Sequence[str] | None = None) -> int:
    """Run the sweep of a device unless only the page is to be written; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=sorted(SWEEPS), default="cpu")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--only-write", action="store_true", help="measure nothing: show the run files that are there")
    given = parser.parse_args(words)
    status = 0 if given.only_write else measure(given.device, given.processes)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return status


def measure(device: str, processes: int) -> int:
    """Run the sweep of *device* in so many processes and keep its run file; return pytest's exit status."""
    from pytest_sdbatch.cli import main as sdbatch

    with TemporaryDirectory() as folder, chdir(folder):  # where no configuration of a project applies
        path = Path(folder) / "run.json"
        words = [f"--processes={processes}", f"--sd-device={device}", "--sd-models=sd15", *SWEEPS[device]]
        status = sdbatch(["sweep", *words, f"--sd-report={path.name}"])
        if path.exists():
            name = str(read_run_file(path)[0].environment.must_match["device_name"])
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.json").write_bytes(path.read_bytes())
    return status


def filled(page: str) -> str:
    """Return *page* with what the run files say between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE.name} lacks {BEGIN.strip()} or {END.strip()}")
    sections = [section(path.name, read_run_file(path)) for path in sorted(RESULTS.glob("*.json"))]
    return before + BEGIN + "\n" + "\n".join(sections) + END + after


def section(name: str, runs: Sequence[Run]) -> str:
    """Return what the run file *name* with *runs* of one group of cases says."""
    return "\n".join([*_heading(name, runs), "", *_figures(runs), ""])


def _heading(name: str, runs: Sequence[Run]) -> Iterator[str]:
    where = runs[0].environment
    facts = {**where.shown, **where.drift, **where.must_match}
    threads = f", {units.count(int(facts['threads'] or 0), 'thread')}" if facts.get("device_kind") == "cpu" else ""
    versions = ", ".join(f"{package} {facts[package]}" for package in ("pytest-sdbatch", "torch", "diffusers"))
    processes = "1 process" if len(runs) == 1 else f"{len(runs)} processes"
    yield f"### {facts['device_name']}{threads}"
    yield ""
    yield f"{runs[0].started_at[:10]}, {processes}, {versions}; run file [{name}](../results/{name})."
    beside = [record.case.batch_size for run in runs for record in run.records if record.contention is not None]
    if beside:
        yield ""
        sizes = ", ".join(map(str, sorted(set(beside))))
        yield f"**Something else used the machine meanwhile (batch size {sizes}): do not rely on these figures.**"


def _figures(runs: Sequence[Run]) -> Iterator[str]:
    measured = of_runs(runs)
    table = [row for row in rows(measured.records.values()) if row.counts]
    scaling = fit([measured.timings[row.test, row.case] for row in table])
    yield f"`{table[0].group}`"
    yield ""
    yield "| batch size | a call | images/s | an image | the curve says | measured is off by | peak memory |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    for row, residual in zip(table, scaling.residuals, strict=True):
        cells = [
            str(row.batch_size),
            units.duration(row.call_s or 0.0),
            units.number(row.images_per_s or 0.0),
            units.duration(row.s_per_image or 0.0),
            units.duration(scaling.curve.seconds(row.batch_size)),
            units.change(residual),
            "-" if row.peak_bytes is None else units.memory(row.peak_bytes),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from _curve(scaling)
    yield ""
    yield from answer_of_runs(runs)
    yield ""
    yield f"{IMAGES} images, from the calls above:"
    yield ""
    yield "```text"
    asked = Question(images=IMAGES)
    yield from plan_table(measured.records.values(), asked, width=100, color=False).splitlines()
    yield "```"


def _curve(scaling: Scaling) -> Iterator[str]:
    yield f"| | estimate | 95 % limits, {scaling.scope.value} |"
    yield "|---|---:|---:|"
    seconds = [("a, paid per call", scaling.call_s), ("c, paid per image", scaling.image_s)]
    if scaling.floor_s is not None:
        seconds.append(("t0, the floor", scaling.floor_s))
    for what, bounds in seconds:
        yield f"| {what} | {_bounds(bounds, units.duration)} |"
    yield f"| h = a / c | {_bounds(scaling.half_saturation, units.number)} |"
    if scaling.rejected:
        yield ""
        yield "The times do not lie on this curve by more than their noise explains, so that it decides nothing."


def _bounds(bounds: Bounds, text: Callable[[float], str]) -> str:
    estimate = "infinite" if bounds.estimate is None else text(bounds.estimate)
    if bounds.low is None and bounds.high is None:
        return f"{estimate} | not known"
    high = "no upper one" if bounds.high is None else text(bounds.high)
    return f"{estimate} | {text(bounds.low or 0.0)} to {high}"


if __name__ == "__main__":
    sys.exit(main())
