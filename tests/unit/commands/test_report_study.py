"""``sdbatch report`` of what ``sdbatch study -o`` kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from reported import run
from studies import made_study

from pytest_sdbatch.cli import main
from pytest_sdbatch.storage.run_file import write_run
from pytest_sdbatch.storage.study_file import is_study, write_study


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a study, another one, and a run file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("digits.json", "mine.json"):
        write_study(tmp_path / name, made_study())
    write_run(tmp_path / "run.json", [run()])
    return tmp_path


@pytest.mark.parametrize(
    "words", ["merge digits.json run.json -o all.json", "compare digits.json --candidate run.json"]
)
@pytest.mark.usefixtures("folder")
def test_where_runs_are_read_a_study_is_said_to_be_one(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not that it may be another program's file."""
    assert main(words.split()) != 0

    said = capsys.readouterr().err
    assert "digits.json cannot be read: it is a study of sdbatch study, and no run file" in said
    assert "pytest-benchmark" not in said


def test_a_study_is_written_as_page_markdown_and_csv_and_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The suffix says what is written; a report replaces the one before it."""
    words = ["report", "digits.json", "-o", "study.html", "-o", "study.md", "-o", "study.csv"]

    assert main(words) == 0
    assert main(words) == 0
    assert capsys.readouterr().out == "report: study.html\nreport: study.md\nreport: study.csv\n" * 2
    assert "Recommended: train digits" in (folder / "study.html").read_text()
    assert "\n# sdbatch study\n" in (folder / "study.md").read_text()
    lines = list(csv.DictReader((folder / "study.csv").read_text().splitlines()))
    assert len(lines) == sum(len(one.evaluations) for one in made_study().runs)
    assert {line["part"] for line in lines} == {"table", "ramp", "count"}
    assert lines[0] | {"run": ""} == lines[0] | {"run": "", "steps": "0", "held_out_loss": "1.1", "case": "b16x90"}


@pytest.mark.usefixtures("folder")
def test_without_a_file_the_screen_shows_what_study_show_does(capsys: pytest.CaptureFixture[str]) -> None:
    """One command shows whatever was kept."""
    assert main(["report", "digits.json"]) == 0
    shown = capsys.readouterr().out
    assert main(["study", "--show", "digits.json"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["digits.json", "run.json"], "digits.json beside run.json"),
        (["run.json", "digits.json"], "digits.json beside run.json"),
        (["digits.json", "mine.json"], "digits.json beside another study"),
        (["digits.json", "--price=2.49/h", "--memory=24GiB"], "--memory, --price with a study"),
        (["digits.json", "--baseline", "run.json"], "--baseline with a study"),
        (["digits.json", "--format", "bencher"], "--format with a study"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_a_study_cannot_be_shown_with_is_one_error(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """Nothing is written then."""
    assert main(["report", *words, "-o", "r.html"]) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert not Path("r.html").exists()


def test_a_damaged_study_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As any file that cannot be read."""
    path = folder / "digits.json"
    path.write_text(path.read_text().replace('"target": 0.195', '"target": -1'))

    assert main(["report", "digits.json", "-o", "r.html"]) == 1
    assert "digits.json cannot be read: content.target: -1" in capsys.readouterr().err


def test_a_study_without_a_table_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to compare in it."""
    path = folder / "digits.json"
    path.write_text(path.read_text().replace('"table"', '"tuning"'))

    assert main(["report", "digits.json"]) == 1
    assert "content.runs: none of a constant batch size" in capsys.readouterr().err


def test_a_file_says_at_its_ends_whether_it_is_a_study(folder: Path) -> None:
    """Sorted by another program, too; a run file, no file and a folder are none."""
    assert is_study(folder / "digits.json")
    (folder / "sorted.json").write_text(json.dumps(json.loads((folder / "digits.json").read_text()), sort_keys=True))
    assert is_study(folder / "sorted.json")
    assert not any(map(is_study, (folder / "run.json", folder / "nothing.json", folder)))
