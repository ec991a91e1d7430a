"""What reads our files and lines elsewhere, by the rules of its source: what it refuses, and what it makes of the rest.

Written from benchmark-action/github-action-benchmark at c38cce98 (``src/extract.ts``), bencherdev/bencher at 8d75325c
(``bencher_adapter/src/adapters/json.rs``, ``python/pytest.rs``, ``bencher_valid``), actions/runner at 079cdb1d
(``ActionCommand.cs``).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

# The commands that a runner knows, in any case of letters.
COMMANDS = {
    "stop-commands", "set-env", "set-output", "save-state", "add-mask", "add-path", "add-matcher", "remove-matcher",
    "warning", "error", "notice", "debug", "group", "endgroup", "echo",
}  # fmt: skip
_MOST_BYTES = 1024  # of the name of a benchmark, to Bencher
_UNSAFE = set("`|\n\r")  # in github-action-benchmark's comments, where names stand in code spans of a table
_LARGEST = 7.9e28  # that a rust_decimal holds


def parsed(text: str) -> Any:
    """Return JSON as JavaScript and serde read it: without NaN and infinity, which are no JSON."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def custom_benchmark(text: str) -> list[dict[str, Any]]:
    """Return the entries that ``customBiggerIsBetter`` and ``customSmallerIsBetter`` read."""
    entries = parsed(text)
    assert isinstance(entries, list)
    assert entries, "No benchmark result was found"
    for entry in entries:
        assert {"name", "value", "unit"} <= entry.keys() <= {"name", "value", "unit", "range", "extra"}
        # zod coerces: null would become 0 and a missing text "undefined"
        assert isinstance(entry["value"], (int, float))
        assert math.isfinite(entry["value"])
        assert all(isinstance(entry[key], str) for key in entry.keys() - {"value"})
        assert not _UNSAFE & set("".join(entry[key] for key in ("name", "unit")) + entry.get("range", ""))
    assert len({entry["name"] for entry in entries}) == len(entries), "a series is found by its name"
    return list(entries)


def pytest_benchmark(text: str) -> list[dict[str, Any]]:
    """Return the entries that ``tool: pytest`` makes."""
    entries = []
    for bench in parsed(text)["benchmarks"]:
        stats = bench["stats"]
        assert all(math.isfinite(stats[key]) for key in ("ops", "stddev", "mean", "rounds"))
        entries.append({"name": bench["fullname"], "value": stats["ops"], "range": f"stddev: {stats['stddev']}"})
    assert entries, "No benchmark result was found"
    return entries


def bencher_pytest(text: str) -> dict[str, dict[str, float]]:
    """Return the latencies in nanoseconds that Bencher's adapter ``python_pytest`` reads."""
    document = parsed(text)
    assert {"machine_info", "commit_info", "benchmarks"} <= document.keys()
    found = {}
    for bench in document["benchmarks"]:
        assert 0 < len(bench["fullname"].encode()) <= _MOST_BYTES
        stats = {key: bench["stats"][key] for key in ("mean", "stddev", "median", "iqr")}
        assert all(isinstance(value, (int, float)) and abs(value) < _LARGEST for value in stats.values())
        value, spread = stats["mean"] * 1e9, stats["stddev"] * 1e9
        found[bench["fullname"]] = {"value": value, "lower_value": value - spread, "upper_value": value + spread}
    return found


def bencher_metrics(text: str) -> dict[str, dict[str, dict[str, float]]]:
    """Return the measures by benchmark that Bencher's adapter ``json`` reads."""
    document = parsed(text)
    assert isinstance(document, dict)
    for name, measures in document.items():
        assert 0 < len(name.encode()) <= _MOST_BYTES
        for measure, metric in measures.items():
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", measure), "else it is a name, and looked up as one"
            assert len(measure) <= 64
            assert {"value"} <= metric.keys() <= {"value", "lower_value", "upper_value"}
            assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in metric.values())
            assert metric.get("lower_value", metric["value"]) <= metric["value"]
            assert metric["value"] <= metric.get("upper_value", metric["value"])
    return dict(document)


def runner(line: str) -> tuple[str, dict[str, str], str] | None:
    """Return the command, properties and message that a runner finds in a line of a step; None: it only shows it."""
    return _new_form(line) or _old_form(line)


def _new_form(line: str) -> tuple[str, dict[str, str], str] | None:
    text = line.lstrip()
    end = text.find("::", 2)
    if not text.startswith("::") or end < 0:
        return None
    name, _, given = text[2:end].partition(" ")
    if name.lower() not in COMMANDS:
        return None
    pairs = [pair.split("=", 1) for pair in given.strip().split(",") if pair]
    properties = {pair[0]: _unescaped(pair[1], ("%0D", "%0A", "%3A", "%2C", "%25")) for pair in pairs if len(pair) == 2}
    return name, properties, _unescaped(text[end + 2 :], ("%0D", "%0A", "%25"))


def _old_form(line: str) -> tuple[str, dict[str, str], str] | None:
    found = re.search(r"##\[([^\] ]*)[^\]]*\]", line)
    if found is None or found[1].lower() not in COMMANDS:
        return None
    return found[1], {}, line[found.end() :]


def _unescaped(text: str, codes: tuple[str, ...]) -> str:
    for code in codes:
        text = text.replace(code, chr(int(code[1:], 16)))
    return text
