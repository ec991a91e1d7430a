"""pytest-benchmark: our durations in its statistics, files and table, by its public API only.

We measure, it replays: the marker's ``timer`` hands out the durations of a finished measurement as if they passed, so
that ``stats.data`` is exactly our list whatever ``--benchmark-min-rounds``, ``-warmup``, ``-precision`` or
``-disable-gc`` say. Those are for functions that it times itself.
"""

from __future__ import annotations

import os
import shlex
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.errors import OptionError

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from pytest_sdbatch.records import Record

# Its entry point, which `-p no:benchmark` blocks, and its name where it is loaded by module, without autoload.
_PLUGINS = ("benchmark", "pytest_benchmark.plugin")

# Options by which someone says that its table is to be seen: flag, name of the value, default.
_DISPLAY: tuple[tuple[str, str, object], ...] = (
    ("--benchmark-sort", "benchmark_sort", "min"),
    ("--benchmark-group-by", "benchmark_group_by", "group"),
    ("--benchmark-columns", "benchmark_columns", None),
    ("--benchmark-name", "benchmark_name", "normal"),
    ("--benchmark-time-unit", "benchmark_time_unit", None),
    ("--benchmark-histogram", "benchmark_histogram", []),
    ("--benchmark-compare", "benchmark_compare", []),
    ("--benchmark-compare-fail", "benchmark_compare_fail", None),
    ("--benchmark-cprofile", "benchmark_cprofile", None),
    ("--benchmark-verbose", "benchmark_verbose", False),
)
# Options by which someone says that its figures are to be kept.
_KEEPING = (
    ("--benchmark-json", "benchmark_json"),
    ("--benchmark-save", "benchmark_save"),
    ("--benchmark-autosave", "benchmark_autosave"),
)
# What marks a row as ours, and finds its record again.
_TEST, _CASE = "sd_test", "sd_case"


class ReplayClock:
    """A timer that tells loaded durations: 0.0, then the first; 0.0, then the second. Idle it is a real clock.

    pytest-benchmark takes a duration as the difference of two readings; from 0.0 it is exact.
    """

    __name__ = "replay"  # the timer's name in pytest-benchmark's files

    def __init__(self) -> None:
        self._readings: deque[float] = deque()

    def __call__(self) -> float:
        """Return the next reading, seconds."""
        return self._readings.popleft() if self._readings else time.perf_counter()

    def load(self, durations: Iterable[float]) -> None:
        """Replay *durations* (seconds) from the next reading on."""
        self._readings = deque(reading for duration in durations for reading in (0.0, duration))

    def stop(self) -> int:
        """Forget what is left and return how many readings that was."""
        left = len(self._readings)
        self._readings.clear()
        return left


# One is enough: loading and replaying happen in one call, and a process runs one test at a time.
CLOCK = ReplayClock()


def available(config: pytest.Config) -> bool:
    """Return whether pytest-benchmark is active (not so under ``-p no:benchmark``)."""
    return any(config.pluginmanager.hasplugin(name) for name in _PLUGINS)


class NoBenchmark:
    """The fixture that ours ask for, where neither pytest-benchmark nor another plugin offers it."""

    @pytest.fixture
    def benchmark(self) -> None:
        """Stand in for pytest-benchmark, which is switched off."""


def offer_stand_in(config: pytest.Config) -> None:
    """Let tests that ask for ``benchmark`` run without pytest-benchmark; call it from ``pytest_configure``."""
    if not available(config):
        config.pluginmanager.register(NoBenchmark(), "sdbatch-no-benchmark")


def is_disabled(config: pytest.Config) -> bool:
    """Return whether ``--benchmark-disable`` was asked for (xdist, which disables it too, does not count)."""
    disabled = config.getoption("benchmark_disable", False) and not config.getoption("benchmark_enable", False)
    return bool(disabled)


def codspeed_measures(config: pytest.Config) -> bool:
    """Return whether pytest-codspeed is at work; it switches pytest-benchmark off and puts itself in its place."""
    return bool(config.getoption("codspeed", False) or "CODSPEED_ENV" in os.environ)


def skips_all(config: pytest.Config) -> bool:
    """Return whether ``--benchmark-skip`` was asked for."""
    return bool(config.getoption("benchmark_skip", False))


def check_options(config: pytest.Config) -> None:
    """Refuse options of pytest-benchmark that cannot work with our tests; call it once some were collected.

    Raises:
        OptionError: for ``--benchmark-compare-fail``.

    """
    if config.getoption("benchmark_compare_fail", None):
        raise OptionError(
            "--benchmark-compare-fail does not go with sd_benchmark tests",
            why="it raises while the summary is written, which hides the results; and a threshold on one run's "
            "mean fails a third of the runs in which nothing changed",
            fix="leave it out (--benchmark-compare alone works), or run the other tests without the sd_benchmark ones",
        )


def mark_item(item: pytest.Item) -> None:
    """Give *item* the replay clock as its timer, beside what its own ``benchmark`` marker says.

    pytest-benchmark reads the closest marker only, so that ours takes the other one's keywords over. Where it is
    switched off nobody reads the marker, and nobody has declared it.
    """
    if not available(item.config):
        return
    own = item.get_closest_marker("benchmark")
    if own is None:
        item.add_marker(pytest.mark.benchmark(timer=CLOCK), append=False)
    elif own.kwargs.get("timer") is not CLOCK:
        item.add_marker(pytest.mark.benchmark(*own.args, **{**own.kwargs, "timer": CLOCK}), append=False)


def publish(benchmark: BenchmarkFixture | None, record: Record) -> None:
    """Hand the rounds of *record* to pytest-benchmark; a record without numbers leaves no row.

    Args:
        benchmark: the test's ``benchmark`` fixture, unused so far; None where pytest-benchmark is switched off.
        record: what was measured.

    Raises:
        OptionError: where the item lacks the marker of :func:`mark_item`, because something took it away.

    """
    if not _is_theirs(benchmark):
        return
    assert benchmark is not None
    if not record.outcome.has_numbers or not record.rounds:
        leave_out(benchmark)
        return
    benchmark.extra_info.update({_TEST: record.test, _CASE: record.case.id, "images": record.case.images})
    replay(benchmark, [r.wall_s for r in record.rounds])


def replay(benchmark: BenchmarkFixture, durations: Sequence[float]) -> None:
    """Make *durations* (seconds, at least one) the rounds of *benchmark*.

    Raises:
        OptionError: as :func:`publish`.

    """
    from pytest_sdbatch.measure.tracers import paused

    CLOCK.load(durations)
    try:
        with paused():  # it cannot put a cProfile back itself, and fails on it
            benchmark.pedantic(_nothing, rounds=len(durations))
    finally:
        left = CLOCK.stop()
    if left and benchmark.enabled:
        raise OptionError(
            "pytest-benchmark did not take the durations of sd_benchmark",
            why="the test's marker `benchmark` names another timer",
            fix="do not add a marker `benchmark(timer=...)` while tests run",
        )


def leave_out(benchmark: BenchmarkFixture | None) -> None:
    """Tell pytest-benchmark that there is no row for this test, which it would warn of otherwise.

    It is called where something else has gone wrong, and hides it by no error of its own; a test that used
    *benchmark* itself keeps its row.
    """
    if benchmark is None or not _is_theirs(benchmark) or benchmark.stats is not None:
        return
    benchmark.disabled = True
    try:
        benchmark.pedantic(_nothing)
    except Exception as error:
        # Disabled it shows in nothing else that it was used before; the class is not part of its public API.
        if type(error).__name__ != "FixtureAlreadyUsed":
            raise


def update_json(records: Iterable[Record], output_json: dict[str, Any]) -> None:
    """Put record and figures into pytest-benchmark's own file, in place; call it from ``pytest_benchmark_update_json``.

    Each of our rows gets a versioned block ``sdbatch`` with its record, and our numbers beside its statistics.

    Raises:
        RunFileError: for a record that cannot be stored.

    """
    from pytest_sdbatch.storage.benchmark_schema import figures
    from pytest_sdbatch.storage.codec import SCHEMA, encode_record

    by_key = {record.key: record for record in records}
    for row in output_json["benchmarks"]:
        record = by_key.get(_key(row))
        if record is not None:
            row["sdbatch"] = {"schema": SCHEMA, "record": encode_record(record)}
            row["stats"].update(figures([record]))


def hides_table(config: pytest.Config, benchmarks: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether pytest-benchmark's table would only repeat ours; for ``pytest_benchmark_group_stats``.

    So where every row is ours and no option of its display was given. Where this is so, the hook returns an empty
    list: no groups, no table.
    """
    return all(_CASE in row["extra_info"] for row in benchmarks) and not _display_options(config)


def without_effect(config: pytest.Config) -> list[str]:
    """Return the options of pytest-benchmark that were given and do nothing where it is off, as xdist turns it off."""
    given = [flag for flag, name in _KEEPING if config.getoption(name, None)]
    return [*given, *_display_options(config)] if available(config) else []


def _display_options(config: pytest.Config) -> list[str]:
    from_environment = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    typed = [*config.getini("addopts"), *from_environment, *config.invocation_params.args]
    words = {str(argument).partition("=")[0] for argument in typed}
    return [flag for flag, name, default in _DISPLAY if flag in words or config.getoption(name, default) != default]


def _key(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["extra_info"].get(_TEST), row["extra_info"].get(_CASE)


def _is_theirs(benchmark: object) -> bool:
    """Return whether *benchmark* is pytest-benchmark's fixture, and not None or that of another plugin in its place."""
    return type(benchmark).__module__.partition(".")[0] == "pytest_benchmark"


def _nothing() -> None:
    """Be what pytest-benchmark calls while the clock replays."""
