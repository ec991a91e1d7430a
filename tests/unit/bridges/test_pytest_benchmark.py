"""Our durations in pytest-benchmark, by its public API: seen in real pytest runs of a small demo fixture."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.bridges.pytest_benchmark import ReplayClock

# The hooks as a plugin wires them, and a fixture that "measures" what the test says. No device.
CONFTEST = """
import pytest
from pytest_sdbatch.bridges import pytest_benchmark as bridge
from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Outcome, Record, Round

RECORDS = []

def pytest_configure(config):
    bridge.offer_stand_in(config)

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    ours = [item for item in items if "sd_benchmark" in item.fixturenames]
    for item in ours:
        bridge.mark_item(item)
    if ours:
        try:
            bridge.check_options(config)
        except OptionError as error:
            raise pytest.UsageError(str(error)) from None

@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_benchmark_group_stats(config, benchmarks, group_by):
    return [] if bridge.hides_table(config, benchmarks) else None

@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config, benchmarks, output_json):
    bridge.update_json(RECORDS, output_json)

def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"our table: {len(RECORDS)} records")

@pytest.fixture
def sd_benchmark(request, benchmark):
    def measure(*seconds, outcome="ok", batch_size=2):
        if bridge.is_disabled(request.config):
            bridge.leave_out(benchmark)
            return "checked"
        case = Case(model="tiny-sd", dtype="fp32", device="cpu", height=8, width=8, steps=1,
                    batch_size=batch_size, batch_count=1)
        rounds = tuple(Round(wall_s=s, cpu_s=s, call_s=(s,)) for s in seconds)
        record = Record(test=request.node.nodeid.split("[")[0], case=case, outcome=Outcome(outcome), rounds=rounds)
        RECORDS.append(record)
        bridge.publish(benchmark, record)
        if outcome == "oom":
            pytest.skip("oom")
        assert outcome == "ok"
        return "measured"
    return measure
"""
TEST = """
def test_one(sd_benchmark):
    assert sd_benchmark(0.5, 0.25, 0.75) == "measured"
"""
CHECK_TEST = """
def test_one(sd_benchmark):
    assert sd_benchmark(0.5, 0.25, 0.75) == "checked"
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs pytest in this process on a test file and the wiring above."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest(CONFTEST)

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        # The real plugin, where it is installed, would wire the same functions a second time.
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:sdbatch", *arguments)

    return run


def stored(path: Path) -> dict[str, Any]:
    """Return the only benchmark of the file at *path*."""
    (row,) = json.loads(path.read_text(), parse_constant=pytest.fail)["benchmarks"]
    found: dict[str, Any] = row
    return found


def test_the_clock_replays_durations_exactly() -> None:
    """Each pair of readings differs by exactly one duration, whatever its size."""
    clock = ReplayClock()
    durations = [0.1, 1e-9, 12345.678901234567, 0.0]
    clock.load(durations)

    found = []
    for _ in durations:
        start = clock()
        found.append(clock() - start)

    assert found == durations


def test_an_idle_clock_is_a_real_one() -> None:
    """Without durations it tells the time, so that nothing that calibrates on it hangs."""
    clock = ReplayClock()
    before = time.perf_counter()

    assert before <= clock() <= time.perf_counter()


def test_stopping_forgets_what_was_left() -> None:
    """What was not replayed does not turn up in the next test."""
    clock = ReplayClock()
    clock.load([1.0, 2.0])
    clock()

    assert clock.stop() == 3
    assert clock() > 0.0
    assert clock.stop() == 0


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--benchmark-disable-gc",),
        ("--benchmark-warmup=on", "--benchmark-warmup-iterations=50"),
        ("--benchmark-min-rounds=50", "--benchmark-max-time=3", "--benchmark-min-time=0.5"),
        ("--benchmark-precision=0.001", "--benchmark-confidence=0.9"),
        ("--benchmark-calibration-precision=1000",),
        ("--benchmark-timer=time.process_time",),
        ("--benchmark-cprofile=tottime", "--benchmark-cprofile-loops=5"),
        ("--benchmark-enable", "--benchmark-disable"),
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_its_data_are_exactly_our_rounds(run: Any, pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    """No option that steers its own measurement changes our list."""
    run(TEST, "--benchmark-json=out.json", *options).assert_outcomes(passed=1)

    stats = stored(pytester.path / "out.json")["stats"]
    assert stats["data"] == [0.5, 0.25, 0.75]
    assert (stats["rounds"], stats["iterations"], stats["ops"]) == (3, 1, 2.0)


def test_a_row_carries_our_record_and_figures(run: Any, pytester: pytest.Pytester) -> None:
    """`--benchmark-json` holds a versioned block with the record, and our numbers beside its own."""
    run(TEST, "--benchmark-json=out.json").assert_outcomes(passed=1)

    row = stored(pytester.path / "out.json")
    assert row["sdbatch"]["schema"] == 4
    assert row["sdbatch"]["record"]["rounds"]["wall_ns"] == [500_000_000, 250_000_000, 750_000_000]
    assert row["stats"]["images_per_s"] == pytest.approx(4.0)
    assert row["extra_info"] == {"images": 2, "sd_case": "tiny-sd-fp32-8x8-s1-b2x1", "sd_test": row["fullname"]}
    assert row["options"]["timer"] == "replay"


def test_autosave_keeps_our_rounds_and_can_be_compared_with(run: Any, pytester: pytest.Pytester) -> None:
    """Its plain autosave drops raw rounds; with our block they are there, and the next run compares as usual."""
    run(TEST, "--benchmark-autosave").assert_outcomes(passed=1)
    (path,) = pytester.path.glob(".benchmarks/*/0001_*.json")
    assert "data" not in stored(path)["stats"]
    assert len(stored(path)["sdbatch"]["record"]["rounds"]["wall_ns"]) == 3

    result = run(TEST.replace("0.75", "0.75, 0.5"), "--benchmark-compare")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*benchmark: 2 tests*", "test_one (0001_*", "test_one (NOW)*"])


def test_its_table_is_hidden_where_it_only_repeats_ours(run: Any) -> None:
    """All rows are ours and nobody asked for its table: none is printed."""
    result = run(TEST)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["our table: 1 records"])
    result.stdout.no_fnmatch_line("*benchmark: 1 tests*")


@pytest.mark.parametrize(
    "option",
    [
        "--benchmark-columns=min",
        "--benchmark-sort=min",  # the default, but typed
        "--benchmark-sort=max",
        "--benchmark-group-by=func",
        "--benchmark-name=short",
        "--benchmark-time-unit=ms",
        "--benchmark-verbose",
        "--benchmark-cprofile=tottime",
    ],
)
@pytest.mark.parametrize("origin", ["command line", "addopts", "environment"])
def test_its_table_is_shown_where_an_option_of_it_was_given(
    run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: str, origin: str
) -> None:
    """Whoever asks for its display gets it, wherever the option was written."""
    if origin == "addopts":
        pytester.makeini(f"[pytest]\naddopts = {option}")
    elif origin == "environment":
        monkeypatch.setenv("PYTEST_ADDOPTS", option)

    result = run(TEST, *([option] if origin == "command line" else []))

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*benchmark*: 1 tests*"])


def test_its_table_is_shown_where_a_row_is_not_ours(run: Any) -> None:
    """A benchmark of its own beside ours: all rows as always."""
    run_of_both = TEST + "\ndef test_theirs(benchmark):\n    benchmark(int)\n"
    result = run(run_of_both, "--benchmark-min-rounds=1", "--benchmark-max-time=0.001")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*benchmark: 2 tests*"])


def test_a_test_keeps_the_other_keywords_of_its_marker(run: Any, pytester: pytest.Pytester) -> None:
    """A group set by the user, on the function or on the class, is kept; a timer of his own is not used."""
    source = """
        import time, pytest
        @pytest.mark.benchmark(group="of the class", timer=time.time)
        class TestIt:
            def test_one(self, sd_benchmark):
                sd_benchmark(0.5, 0.25, 0.75)
    """
    run(source, "--benchmark-json=out.json").assert_outcomes(passed=1)

    row = stored(pytester.path / "out.json")
    assert row["group"] == "of the class"
    assert row["stats"]["data"] == [0.5, 0.25, 0.75]


def test_a_mistake_in_a_users_marker_is_still_reported(run: Any) -> None:
    """pytest-benchmark's own check of its marker sees what the user wrote."""
    source = "import pytest\n@pytest.mark.benchmark('x')\ndef test_one(sd_benchmark):\n    sd_benchmark(0.5)\n"
    result = run(source)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*benchmark mark can't have positional arguments*"])


def test_a_marker_added_later_is_noticed(run: Any) -> None:
    """Durations that pytest-benchmark did not take end the test with a message, never in wrong numbers."""
    source = """
        import time, pytest
        @pytest.fixture(autouse=True)
        def other_timer(request):
            request.node.add_marker(pytest.mark.benchmark(timer=time.time), append=False)
        def test_one(other_timer, sd_benchmark):
            sd_benchmark(0.5, 0.25)
    """
    result = run(source)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pytest-benchmark did not take the durations of sd_benchmark*"])


def test_benchmark_disable_runs_and_records_nothing(run: Any, pytester: pytest.Pytester) -> None:
    """The check that benchmarks have not rotted: it passes, warns of nothing and writes no file."""
    result = run(CHECK_TEST, "--benchmark-disable", "--benchmark-json=out.json", "-W", "error")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*was not used*")
    assert not (pytester.path / "out.json").exists()


def test_benchmark_enable_overrides_disable(run: Any) -> None:
    """As for its own benchmarks: --benchmark-enable wins over a --benchmark-disable of the configuration."""
    run(TEST, "--benchmark-disable", "--benchmark-enable").assert_outcomes(passed=1)


def test_benchmark_only_and_skip_know_our_tests(run: Any) -> None:
    """Ours count as benchmarks for its two options of selection."""
    both = TEST + "\ndef test_plain():\n    pass\n"

    run(both, "--benchmark-only").assert_outcomes(passed=1, skipped=1)
    result = run(both, "--benchmark-skip", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*Skipping benchmark (--benchmark-skip active)*"])


@pytest.mark.parametrize(("outcome", "counts"), [("oom", {"skipped": 1}), ("invalid-output", {"failed": 1})])
def test_a_case_without_numbers_leaves_no_row_and_no_warning(
    run: Any, pytester: pytest.Pytester, outcome: str, counts: dict[str, int]
) -> None:
    """Out of memory, or an output that is wrong: nothing fast is published, and nobody warns of an unused fixture."""
    source = f"def test_one(sd_benchmark):\n    sd_benchmark(0.001, outcome={outcome!r})\n" + TEST.replace("one", "two")
    result = run(source, "--benchmark-json=out.json")

    result.assert_outcomes(**counts, passed=1)
    result.stdout.no_fnmatch_line("*was not used*")
    assert stored(pytester.path / "out.json")["name"] == "test_two"


def test_a_test_that_fails_after_measuring_keeps_its_row(run: Any, pytester: pytest.Pytester) -> None:
    """As with its own benchmarks: the times were taken before the assertion."""
    run(TEST + "    assert False\n", "--benchmark-json=out.json").assert_outcomes(failed=1)

    assert stored(pytester.path / "out.json")["stats"]["rounds"] == 3


def test_a_profiler_around_the_test_changes_nothing(run: Any) -> None:
    """pytest-benchmark alone fails under cProfile, up to Python 3.11: it asks to put back what cannot be called."""
    profiled = TEST.replace("    assert", "    with cProfile.Profile(): assert")
    run(f"import cProfile{profiled}").assert_outcomes(passed=1)


def test_a_benchmark_used_twice_is_its_own_error(run: Any) -> None:
    """Whoever uses `benchmark` himself beside ours is told so by pytest-benchmark, and its timing did not hang."""
    source = """
        def test_one(benchmark, sd_benchmark):
            benchmark(int)
            sd_benchmark(0.5)
    """
    result = run(source, "--benchmark-max-time=0.01")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FixtureAlreadyUsed*Previously it was used in benchmark(...) mode*"])


@pytest.mark.parametrize("options", [(), ("--benchmark-disable",)], ids=["enabled", "disabled"])
def test_leaving_out_never_hides_another_error(run: Any, pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    """Where `benchmark` was used already, no second error comes on top, and a row that was measured is kept."""
    source = """
        from pytest_sdbatch.bridges.pytest_benchmark import leave_out
        def test_one(benchmark, sd_benchmark):
            benchmark.pedantic(int, rounds=2)
            leave_out(benchmark)
            leave_out(benchmark)
    """
    run(source, "--benchmark-json=out.json", *options).assert_outcomes(passed=1)

    if not options:
        assert stored(pytester.path / "out.json")["stats"]["rounds"] == 2


def test_compare_fail_is_refused_with_our_tests(run: Any) -> None:
    """It would raise in the middle of the summary: a usage error before anything runs, that says what to do."""
    run(TEST, "--benchmark-autosave").assert_outcomes(passed=1)

    result = run(TEST, "--benchmark-compare", "--benchmark-compare-fail=mean:5%")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --benchmark-compare-fail does not go with sd_benchmark tests", "*do:  leave*"])
    assert "INTERNALERROR" not in result.stderr.str() + result.stdout.str()
    result.stdout.no_fnmatch_line("*passed*")


def test_compare_fail_is_left_alone_without_our_tests(run: Any) -> None:
    """A project that only has the plugin installed keeps its gate."""
    theirs = "def test_theirs(benchmark):\n    benchmark(int)\n"
    options = ("--benchmark-max-time=0.001", "--benchmark-min-rounds=1")
    run(theirs, "--benchmark-autosave", *options).assert_outcomes(passed=1)

    result = run(theirs, "--benchmark-compare", "--benchmark-compare-fail=mean:99999%", *options)

    result.assert_outcomes(passed=1)
    assert result.ret == 0


def test_without_pytest_benchmark_our_tests_still_run(run: Any) -> None:
    """`-p no:benchmark`: the fixture has a stand-in, the hooks are no error, our table is there."""
    result = run(TEST, "-p", "no:benchmark")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["our table: 1 records"])


def test_pytest_benchmark_loaded_by_module_is_found(
    run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without autoload it goes by another name: the stand-in must not take its place."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    run(TEST, "-p", "pytest_benchmark.plugin", "--benchmark-json=out.json").assert_outcomes(passed=1)

    assert stored(pytester.path / "out.json")["stats"]["data"] == [0.5, 0.25, 0.75]


def test_its_group_by_parameter_works_on_ours(run: Any) -> None:
    """`--benchmark-group-by=param:sd_batch_size` makes one table a size."""
    source = """
        import pytest
        @pytest.mark.parametrize("sd_batch_size", [1, 4])
        def test_one(sd_benchmark, sd_batch_size):
            sd_benchmark(0.5, 0.25, batch_size=sd_batch_size)
    """
    result = run(source, "--benchmark-group-by=param:sd_batch_size")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*'sd_batch_size=1': 1 tests*", "*'sd_batch_size=4': 1 tests*"])
