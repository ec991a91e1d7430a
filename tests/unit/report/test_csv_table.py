"""Cases as comma-separated values."""

from __future__ import annotations

import csv
import io

import pytest
from compared import quiet_side
from reported import HOSTILE, SIZES, hostile_run, out_of_memory, record, reported, run

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.report.comparison_data import comparison_data
from pytest_sdbatch.report.csv_table import csv_table
from pytest_sdbatch.report.sources import Reported
from pytest_sdbatch.storage.verdict_file import verdicts_of


def read(made: Reported) -> list[dict[str, str]]:
    """Return the lines by name of the column."""
    return list(csv.DictReader(io.StringIO(csv_table(made)), strict=True))


def test_every_case_of_every_run_is_a_line_of_plain_numbers() -> None:
    """Seconds and bytes, the price of a thousand images, a share for each stage."""
    lines = read(reported([run(number=1), run(number=2)], prices={"NVIDIA H100 80GB HBM3": 3.6}))

    assert [(line["run"][-11:], line["batch_size"]) for line in lines] == [
        (f"{number}Z-1a2b3c4d", str(size)) for number in (1, 2) for size in SIZES
    ]
    first = lines[0]
    assert float(first["call_s"]) == float(first["s_per_image"])
    assert 0.30 < float(first["call_s"]) < 0.31
    assert float(first["dollars_per_1000_images"]) == pytest.approx(float(first["s_per_image"]))
    assert float(first["stage_denoiser_share"]) > 0.8
    assert float(first["call_low_s_within_this_run"]) < float(first["call_s"])


def test_what_is_not_known_is_empty() -> None:
    """A case that ran out of memory has a reason and no time."""
    lines = read(reported([run(record(1), out_of_memory(2))]))

    assert lines[1]["outcome"] == "oom"
    assert lines[1]["notes"].startswith("out of memory in vae_decode")
    assert lines[1]["call_s"] == lines[1]["dollars_per_1000_images"] == ""


def test_a_run_without_cases_is_a_line_of_names() -> None:
    """A reader finds the columns that every file has."""
    assert csv_table(Reported(sources=())) == '"file","run","started_at","test","case"\n'


def test_verdicts_stand_beside_the_cases_of_the_candidate() -> None:
    """Found by the node id that both files have."""
    name = "benchmarks/test_generation.py::test_text_to_image[sd15-random-bf16-512x512-s20-b1x1]"
    comparison = compare(quiet_side("base", 4, {1: 1.0}), quiet_side("new", 1, {1: 1.2}))
    data = comparison_data(comparison, status=10)
    data["cases"][0]["name"] = name

    lines = read(reported([run()], verdicts=verdicts_of(data)))

    assert [line["verdict"] for line in lines] == ["regressed", "", "", "", ""]
    assert float(lines[0]["change_low"]) < float(lines[0]["change"]) < float(lines[0]["change_high"])


def test_no_cell_of_hostile_text_is_more_than_text() -> None:
    """No formula, no line of its own, no control character."""
    text = csv_table(reported([hostile_run()]))

    assert text.count("\n") == 5
    assert text.replace("\n", "").isprintable()
    assert HOSTILE[5] not in text
    for line in csv.reader(io.StringIO(text)):
        assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@"))]
        assert not [cell for cell in line if ";=" in cell]
