"""Properties of a benchmark's test in a JUnit file (``--junitxml``), and in whatever else reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_sdbatch.report.escape import plain, shortened
from pytest_sdbatch.storage.benchmark_schema import figures

if TYPE_CHECKING:
    import pytest

    from pytest_sdbatch.records import Record

PREFIX = "sdbatch."
_LONGEST = 1000  # characters of a reason


def attach(item: pytest.Item, record: Record) -> None:
    """Give *item* the properties of its *record*; pytest puts them into every report it makes from now on."""
    others = [pair for pair in item.user_properties if not str(pair[0]).startswith(PREFIX)]  # of an earlier attempt
    item.user_properties[:] = [*others, *((f"{PREFIX}{name}", value) for name, value in properties(record))]


def properties(record: Record) -> Iterator[tuple[str, str | int | float]]:
    """Yield names and values: text of one line, whole numbers, and numbers that are finite; what is unknown is absent.

    Builtins alone: under xdist they travel between processes.
    """
    yield "case", plain(record.case.id)
    yield "outcome", record.outcome.value
    if record.reason is not None:
        yield "reason", shortened(plain(record.reason), _LONGEST)
    yield "rounds", len(record.rounds)
    if not record.outcome.has_numbers or not record.rounds:
        return
    found: dict[str, float | None] = {**figures([record]), "cold_start_s": record.cold_start_s.value}
    for name, value in found.items():
        if value is not None and math.isfinite(value):
            yield name, int(value) if name.endswith("_bytes") else float(value)
    if "peak_memory_bytes" in found and record.memory_source is not None:
        yield "peak_memory_measure", record.memory_source
