"""Run every part and print the report as Markdown; ``--only NAME`` for one part."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
from importlib import metadata

from benchmarks.harness import ab, gate
from benchmarks.harness.report import to_markdown

PARTS = ("clock", "rounds", "files", "runs", "answers", "forecasts", "contention", "training", "cluster", "gate", "ab")
# Minutes of simulation; of real calls; on a machine that nobody else uses; extras of the package; half an hour of
# simulation; hours of jobs.
NOT_BY_DEFAULT = ("answers", "forecasts", "contention", "training", "cluster", "gate", "ab")


def main() -> int:
    """Print the report; 1 where a goal was not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part (again: several)")
    parser.add_argument("--half", choices=ab.HALVES, help="this one of ab alone")
    gate.add_arguments(parser)
    given = parser.parse_args()
    missed = 0
    print(f"{_machine()}\n", flush=True)
    for name in given.only or [part for part in PARTS if part not in NOT_BY_DEFAULT]:
        part = importlib.import_module(f"benchmarks.harness.{name}")
        if part is gate:
            lines = gate.run(given.jobs, given.cells or (), given.traces)
        else:
            lines = ab.run(given.half) if part is ab else part.run()
        missed += sum(line.met is False for line in lines)
        print(to_markdown(part.TITLE, lines), flush=True)
    return 1 if missed else 0


def _machine() -> str:
    from pytest_sdbatch.devices.cpu import CpuDevice

    facts = CpuDevice().facts()["must_match"]
    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("torch", "diffusers", "pytest", "pytest-benchmark", "pytest-sdbatch")
    )
    return f"{facts.get('device_name')}, {facts.get('threads')} threads, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":  # not in the processes that the gate starts
    sys.exit(main())
