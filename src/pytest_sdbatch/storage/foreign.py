"""Files of pytest-benchmark that are none of ours: rounds by fullname, and what machine_info tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_sdbatch.analysis.comparable import Facts
from pytest_sdbatch.analysis.sides import Measured, Place, SideRun
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Fact
from pytest_sdbatch.storage.plain import parse

_MUST_MATCH = ("node", "machine", "processor", "system")
_MUST_MATCH_OF_CPU = ("brand_raw", "count")
_DRIFT = ("python_implementation", "python_version", "release")


_LONGEST_S = 2**63 / 1e9  # what our own files hold; sums of it are finite
STUDY_KIND = "sdbatch-study"  # what the files of sdbatch study say that they are
_REPORTS = (b"a report of pytest-sdbatch", b'"file","run","started_at","test","case"')
_LONGEST_MARK = 100
_JOURNAL = re.compile(rb'\{"schema":\d+,"run":\{')


def parse_file(data: bytes) -> Any:
    """Return the JSON document that *data*, the content of a file, holds: a run file, or one of pytest-benchmark.

    Raises:
        RunFileError: as :func:`~pytest_sdbatch.storage.plain.parse`, and for the journal of a run, or a report.

    """
    if any(mark in data[:_LONGEST_MARK] for mark in _REPORTS):
        raise RunFileError(
            "it is a report that was made of run files",
            why="it shows their figures and holds no rounds",
            fix="name the run file itself, the .json of --sd-report or --sd-save",
        )
    if _JOURNAL.match(data):
        raise RunFileError(
            "it is the journal of a run, and no run file",
            why="it keeps each case as it is finished, for a run that may be interrupted",
            fix="the command that began the run goes on from it with --sd-resume --sd-report=FILE.json",
        )
    return parse(data)


def is_foreign(value: object) -> bool:
    """Return whether a parsed JSON document is a file of pytest-benchmark without a block of ours at its top."""
    return isinstance(value, dict) and "benchmarks" in value and "sdbatch" not in value


def foreign_run(value: Mapping[str, Any], *, run_id: str, file: str) -> SideRun:
    """Return the run that a file of pytest-benchmark holds. Keys that are not needed are not looked at.

    Args:
        value: the parsed document.
        run_id: what tells this file from others.
        file: its path, as the user wrote it.

    Raises:
        RunFileError: for no benchmark, a fullname that is missing or appears twice, rounds that are missing or no
            durations, a machine_info that is no object; names the key.

    """
    benchmarks = value["benchmarks"]
    if not isinstance(benchmarks, list) or not benchmarks:
        raise RunFileError("benchmarks: there is none", why="a file without rounds cannot be compared")
    facts = _facts(value)
    cases: dict[str, Measured] = {}
    for index, entry in enumerate(benchmarks):
        path = f"benchmarks[{index}]"
        name = entry.get("fullname") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise RunFileError(f"{path}.fullname: missing, or no text")
        if name in cases:
            raise RunFileError(f"{path}.fullname: {name} appears twice")
        file_part, _, rest = name.partition("::")
        place = Place(test=file_part if rest else "", case=rest or name)
        cases[name] = Measured(place=place, seconds=_seconds(entry, path), facts=facts)
    return SideRun(id=run_id, file=file, started_at=str(value.get("datetime", "")), cases=cases)


def _seconds(entry: Mapping[str, Any], path: str) -> list[float]:
    stats = entry.get("stats")
    data = stats.get("data") if isinstance(stats, dict) else None
    if not isinstance(data, list) or not data:
        raise RunFileError(
            f"{path}.stats.data: missing",
            why="statistics alone cannot be compared: the rounds are needed",
            fix="write it with --benchmark-json, or with --benchmark-save-data",
        )
    for index, seconds in enumerate(data):
        if type(seconds) not in (int, float) or not 0 < seconds < _LONGEST_S:  # a NaN is neither
            raise RunFileError(f"{path}.stats.data[{index}]: {seconds!r} is no duration in seconds")
    return [float(seconds) for seconds in data]


def _facts(value: Mapping[str, Any]) -> Facts:
    machine, commit = (_table(value, key) for key in ("machine_info", "commit_info"))
    cpu = _table(machine, "cpu", "machine_info.")
    return Facts(
        must_match={
            **{key: _fact(machine.get(key)) for key in _MUST_MATCH},
            **{f"cpu_{key}": _fact(cpu.get(key)) for key in _MUST_MATCH_OF_CPU},
        },
        drift={key: _fact(machine.get(key)) for key in _DRIFT},
        shown={"commit": _fact(commit.get("id"))},
    )


def _table(value: Mapping[str, Any], key: str, path: str = "") -> Mapping[str, Any]:
    found = value.get(key) or {}
    if not isinstance(found, dict):
        raise RunFileError(f"{path}{key}: no object")
    return found


def _fact(value: object) -> Fact:
    return value if isinstance(value, (str, int, float)) else None
