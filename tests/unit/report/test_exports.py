"""Files for trackers, as those read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hostile import names
from hypothesis import HealthCheck, given, settings
from readers import bencher_metrics, bencher_pytest, custom_benchmark, parsed, pytest_benchmark

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.records import Environment, MemoryRound, Outcome, Reading, Record, Run
from pytest_sdbatch.report.exports import EXPORTS, export, safe_name
from pytest_sdbatch.storage.run_file import write_run

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GIB = 2**30
TEST = "benchmarks/test_generation.py::test_text_to_image"

NAME = f"{TEST}[sd15-random-bf16-512x512-s20-b4x1]"


def run_of(*records: Record, name: str = "Some GPU") -> Run:
    """Return a run of *records* on the device *name*."""
    where = Environment(must_match={"device_name": name}, drift={}, shown={})
    return Run(id="1", started_at="2026-11-28", environment=where, options={}, records=records)


@pytest.fixture
def record(sd15: Maker) -> Record:
    """Make a case of batch size 4 at 2 s per call, 300 J per image, 8 GiB in use on the device."""
    unknown = Reading(reason="x")
    memory = MemoryRound(
        scope="device", before_context=unknown, context=unknown, before_load=unknown, loaded=unknown,
        peak=Reading(value=8 * GIB), after=unknown,
    )  # fmt: skip
    rounds = [replace(one, energy_joules=1200.0) for one in sd15.rounds([1.9, 2.0, 2.0, 2.0, 2.2])]
    return sd15.record(4, rounds=tuple(rounds), memory_round=memory)


def test_github_action_benchmark_gets_images_per_second(record: Record) -> None:
    """One entry a case, named as the test, with the spread and the rounds for its tooltip."""
    made = export("github-action-benchmark", [run_of(record)])

    (entry,) = custom_benchmark(made.text)
    assert entry["name"] == NAME
    assert (entry["value"], entry["unit"]) == (pytest.approx(2.0), "images/s")
    assert entry["extra"] == "2.00 s per call\n5 rounds"
    assert entry["range"].endswith(" within this run")
    assert (made.values, made.left_out) == (1, ())


def test_a_step_of_training_counts_all_its_examples(record: Record) -> None:
    """Two batches of 4 in 2 s are 4 examples/s, of which an epoch of many batches changes nothing."""
    case = replace(record.case, steps=1, batch_count=25, training=Training(accumulation=2))
    trained = run_of(replace(record, case=case))

    (bigger,) = custom_benchmark(export("github-action-benchmark", [trained]).text)
    smaller = custom_benchmark(export("github-action-benchmark-smaller", [trained]).text)
    (measures,) = bencher_metrics(export("bencher", [trained]).text).values()

    assert (bigger["value"], bigger["unit"]) == (pytest.approx(4.0), "examples/s")
    assert bigger["extra"] == "2.00 s per step\n5 rounds"
    assert (smaller[0]["value"], smaller[0]["unit"]) == (pytest.approx(0.25), "s/example")
    assert measures["latency"]["lower_value"] == pytest.approx(2e9)


def test_what_is_better_smaller_is_a_file_of_its_own(record: Record) -> None:
    """Seconds, memory in MiB and joules; a series for each."""
    found = custom_benchmark(export("github-action-benchmark-smaller", [run_of(record)]).text)

    assert {entry["name"].removeprefix(NAME): (entry["value"], entry["unit"]) for entry in found} == {
        " time": (pytest.approx(0.5), "s/image"),
        " peak memory": (4096, "MiB"),
        " memory of the device": (8192, "MiB"),
        " energy": (300, "J/image"),
    }


def test_bencher_gets_measures_with_their_limits(record: Record) -> None:
    """Nanoseconds and operations per second, as its own measures are; what it does not know gets names of ours."""
    made = export("bencher", [run_of(record)])

    found = bencher_metrics(made.text)[NAME]
    assert found["latency"] == {"value": pytest.approx(2e9), "lower_value": 2e9, "upper_value": pytest.approx(2e9)}
    assert found["throughput"]["value"] == pytest.approx(2.0)
    assert {name: found[name]["value"] for name in found.keys() - {"latency", "throughput"}} == {
        "peak-memory": 4 * GIB,
        "device-memory": 8 * GIB,
        "energy-per-image": 300,
    }
    assert made.values == 5


def test_videos_are_told_in_frames(sd15: Maker) -> None:
    """As on the screen: their lengths differ."""
    made = export("github-action-benchmark", [run_of(sd15.group(frames=81).record(1, call_s=10.0))])

    (entry,) = custom_benchmark(made.text)
    assert (entry["value"], entry["unit"]) == (pytest.approx(8.1), "frames/s")


def test_cases_without_figures_are_left_out_and_named(curve: list[Record], sd15: Maker) -> None:
    """Out of memory is no number. A case that regressed is one: its test failed after it was measured."""
    slower = sd15.record(2, call_s=9.0, test_outcome="failed")

    made = export("bencher", [run_of(*curve, slower)])

    assert [name.rpartition("-")[2] for name in bencher_metrics(made.text)] == ["b1x1]", "b2x1]", "b4x1]", "b8x1]"]
    assert [ended for _, ended in made.left_out] == ["oom", "skipped", "skipped"]


def test_several_runs_are_one_series(record: Record) -> None:
    """Rounds of five processes count together."""
    runs = [replace(run_of(record), id=str(number)) for number in range(5)]

    (entry,) = custom_benchmark(export("github-action-benchmark", runs).text)
    assert entry["extra"].endswith("25 rounds")


@pytest.mark.parametrize("name", EXPORTS)
def test_a_case_of_one_round_has_its_figures_and_no_limits(name: str, sd15: Maker) -> None:
    """A single reading says nothing of its spread."""
    made = export(name, [run_of(sd15.record(4, rounds=sd15.rounds([2.0])))])

    if name == "bencher":
        (measures,) = bencher_metrics(made.text).values()
        assert measures["latency"] == {"value": pytest.approx(2e9)}
        assert measures["throughput"] == {"value": pytest.approx(2.0)}
    else:
        assert all("range" not in entry for entry in custom_benchmark(made.text))


@pytest.mark.parametrize("name", EXPORTS)
def test_what_no_tracker_could_tell_apart_or_read_is_refused(name: str, record: Record, sd15: Maker) -> None:
    """Two devices in one series, and a file without a single number."""
    with pytest.raises(RunFileError, match="A and B in one"):
        export(name, [run_of(record, name="A"), run_of(record, name="B")])
    with pytest.raises(RunFileError, match="no case has figures"):
        export(name, [run_of(sd15.ended(4, Outcome.OOM, "out of memory"))])


def test_trackers_read_our_run_file_as_pytest_benchmarks(tmp_path: Path, curve: list[Record]) -> None:
    """Rounds per second for github-action-benchmark, nanoseconds per round for Bencher; names of all cases."""
    path = write_run(tmp_path / "run.json", [run_of(*curve)])
    text = path.read_text(encoding="utf-8")

    names_of_cases = [f"{TEST}[sd15-random-bf16-512x512-s20-b{size}x1]" for size in (1, 4, 8)]
    assert [entry["name"] for entry in pytest_benchmark(text)] == names_of_cases
    assert pytest_benchmark(text)[0]["value"] == pytest.approx(1 / 0.62)
    assert bencher_pytest(text)[names_of_cases[0]]["value"] == pytest.approx(0.62e9)
    assert list(bencher_pytest(text)) == names_of_cases


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=names, second=names)
def test_hostile_names_are_read_by_all_and_stay_apart(sd15: Maker, first: str, second: str) -> None:
    """No name is empty, too long, breaks a cell of a comment, or becomes another one's."""
    tests = dict.fromkeys(f"t.py::t[{name}]" for name in (first, second))
    run = run_of(*(sd15.record(1, test=test) for test in tests))

    for name in EXPORTS:
        text = export(name, [run]).text
        assert len(bencher_metrics(text) if name == "bencher" else custom_benchmark(text)) >= len(tests)
        assert {sign for sign in text if not sign.isprintable()} <= {"\n"}


def test_a_usual_name_is_left_alone() -> None:
    """Names are how a tracker finds a series: only what must change does, and then says so."""
    assert safe_name(NAME) == NAME
    assert safe_name("t.py::t[a|b]").startswith("t.py::t[a/b] ~")
    assert len(safe_name("猫" * 2000).encode()) <= 1024
    assert parsed(f'"{safe_name("x")}"') == "x"
