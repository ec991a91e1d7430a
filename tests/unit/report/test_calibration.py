"""What a person reads of a calibration, and what a machine reads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_sdbatch.analysis.calibration import Calibration, calibrate
from pytest_sdbatch.analysis.comparable import Facts
from pytest_sdbatch.analysis.sides import Measured, Place, SideRun
from pytest_sdbatch.report.calibration import answer, calibration_data, render_calibration

Level = Callable[[int, random.Random], float]


def calibration(processes: int = 10, **levels: Level) -> Calibration:
    """Return what processes say whose cases take 1 s times what *levels* give by number and luck."""
    chance = random.Random(3)

    def measured(name: str, level: float) -> Measured:
        seconds = [level * (1 + chance.gauss(0, 0.005)) for _ in range(10)]
        place = Place(test="test_it.py::test_it", group="sd15", case=name)
        return Measured(place=place, seconds=seconds, facts=Facts(must_match={}, drift={}, shown={}))

    runs = [
        SideRun(
            id=str(number),
            file=f"{number}.json",
            started_at="2026-11-25",
            cases={name: measured(name, level(number, chance)) for name, level in levels.items()},
        )
        for number in range(processes)
    ]
    return calibrate(runs)


def quiet(_number: int, chance: random.Random) -> float:
    """Differ by half a percent."""
    return 1 + chance.gauss(0, 0.005)


def noisy(_number: int, chance: random.Random) -> float:
    """Differ by a tenth."""
    return 1 + chance.gauss(0, 0.1)


def shown(found: Calibration, width: int = 100) -> str:
    """Return the text, without line breaks within sentences."""
    return render_calibration(found, asked=len(found.runs), width=width, color=False).replace("\n    ", " ")


def test_the_answer_is_a_sentence() -> None:
    """What is found in 80 % of jobs, and in how many jobs slowdowns of 2 and 5 % are; no more once one is certain."""
    first, second = answer(calibration(b1x1=quiet), asked=10)

    assert first == (
        "with 8 pairs sdbatch ab finds a slowdown of 2.1 % in 80 % of jobs on this machine; "
        "one of 2 % in 77 %, of 5 % in over 99 %"
    )
    assert second.startswith("against 5 stored runs a slowdown of any case is found in 80 % of comparisons from ")


def test_a_machine_too_noisy_is_told_what_helps() -> None:
    """The case is named, and the quiet one keeps its figure."""
    text = shown(calibration(b1x1=quiet, b8x1=noisy))

    assert "finds a slowdown of 2" in text
    assert "(b1x1) to " in text
    assert "b8x1 is noisy: nothing below " in text
    for help_ in ("quiet machine", "administrator has fixed", "more pairs or runs"):
        assert help_ in text


def test_a_quiet_machine_is_given_no_advice() -> None:
    """It needs none."""
    assert "What helps" not in shown(calibration(b1x1=quiet))


def test_what_cannot_be_told_from_the_rounds_is_zero_with_its_bound() -> None:
    """And the legend says what that means."""
    text = shown(calibration(b1x1=lambda number, chance: 1.0))

    assert "0 (to 0." in text
    assert "0 (to x): cannot be told from that, at most x" in text


def test_a_drift_is_said_and_else_has_no_column() -> None:
    """Neighbours of a machine that warms up are alike."""
    assert "neighbours" in shown(calibration(b1x1=lambda number, chance: 1 + 0.01 * number)).split("stdev:")[0]
    assert "neighbours" not in shown(calibration(b1x1=quiet)).split("stdev:")[0]


def test_fewer_processes_than_asked_for_are_judged_and_counted() -> None:
    """Nine came; one of them was stopped."""
    found = calibration(9, b1x1=quiet)
    stopped = replace(found, runs=(*found.runs[:-1], replace(found.runs[-1], interrupted=True)))

    assert next(iter(answer(stopped, asked=10))) == "judged on what came: 8 of 10 processes ended whole"


def test_without_a_case_the_answer_is_that_there_is_none() -> None:
    """The reason stands below the table."""
    text = shown(calibration(2, b1x1=quiet))

    assert "nothing can be said of this machine" in text
    assert "b1x1: 2 processes have 5 rounds or more of it, 3 are needed" in text


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_lines_fit_the_screen_as_far_as_they_can(width: int) -> None:
    """Columns are left out by their weight; what pairs of the last look find stays."""
    lines = render_calibration(calibration(b1x1=quiet, b8x1=noisy), asked=10, width=width, color=False).splitlines()

    assert "8 pairs" in "\n".join(lines)
    if width >= 60:
        assert max(map(len, lines)) <= width


def test_machines_read_the_same_in_plain_numbers() -> None:
    """Finite, by name; the sentences too."""
    found = calibration(b1x1=quiet, b8x1=noisy)

    data = json.loads(json.dumps(calibration_data(found, asked=10, status=0), allow_nan=False))

    first = data["cases"][0]
    assert data["processes"] == {"asked": 10, "whole": 10, "ran": 10}
    assert data["answer"] == list(answer(found, asked=10))
    assert first["finds_by_pairs"].keys() == {"4", "8"}
    assert first["found"].keys() == {"0.02", "0.05", "0.1"}
    assert first["stdev_between"] <= first["stdev_of_run"] <= first["stdev_between_at_most"] + first["stdev_within"]


def test_a_case_of_which_nothing_is_known_is_null() -> None:
    """With its reason; never 0."""
    (case,) = calibration_data(calibration(2, b1x1=quiet), asked=2, status=12)["cases"]

    assert case["stdev_between"] is case["finds_in_a_job"] is case["call_s"] is None
    assert "3 are needed" in case["reason"]
