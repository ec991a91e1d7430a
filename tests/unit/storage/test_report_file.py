"""Files of reports: what a name asks for, what may be replaced, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.storage.report_file import MARKS, Kind, check_reports, kind_of, write_report


@pytest.mark.parametrize("name", ["r.html", "R.HTML", "r.md", "r.csv", "r.json", "a.b.html"])
def test_the_suffix_says_what_is_written(name: str) -> None:
    """In any case of letters."""
    assert kind_of(Path(name), option="-o").value == f".{name.lower().rpartition('.')[2]}"


@pytest.mark.parametrize("name", ["r.pdf", "report", "r.htm", ".html"])
def test_another_suffix_is_refused_with_those_there_are(name: str) -> None:
    """Before anything runs; the message says what to write."""
    with pytest.raises(OptionError, match=r"end it in .json, .html, .md or .csv"):
        check_reports([Path(name)], option="--sd-report")


def test_a_report_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    """A file of the user's that happens to have the name keeps its content."""
    path = tmp_path / "report.md"

    assert write_report(path, Kind.MARKDOWN, "# one\n") == path
    write_report(path, Kind.MARKDOWN, "# two\n")
    assert path.read_text() == MARKS[Kind.MARKDOWN] + "# two\n"

    (tmp_path / "README.md").write_text("# mine\n")
    with pytest.raises(RunFileError, match="it is no report of pytest-sdbatch, so it is not replaced"):
        check_reports([tmp_path / "README.md"], option="-o")
    with pytest.raises(RunFileError, match="it is no report"):
        write_report(tmp_path / "README.md", Kind.MARKDOWN, "# two\n")
    assert (tmp_path / "README.md").read_text() == "# mine\n"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["README.md", "report.md"]


def test_a_table_is_known_by_its_first_columns(tmp_path: Path) -> None:
    """A mark would be a line too many for a spreadsheet."""
    path = tmp_path / "r.csv"
    text = MARKS[Kind.CSV] + ',"more"\n1,2\n'

    write_report(path, Kind.CSV, text)
    write_report(path, Kind.CSV, text)

    assert path.read_text() == text


def test_a_run_file_is_never_written_over(tmp_path: Path) -> None:
    """It cannot be made again."""
    (tmp_path / "run.json").write_text("{}")

    with pytest.raises(RunFileError, match="a run file is never written over"):
        check_reports([tmp_path / "run.json"], option="--sd-report")
    check_reports([tmp_path / "run.json"], option="--sd-report", over=[tmp_path / "run.json"])


def test_what_cannot_be_written_is_refused_before(tmp_path: Path) -> None:
    """A folder, a link, a folder that is missing, a name that is given twice."""
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "elsewhere.html")

    for name, says in (("folder.html", "a folder"), ("link.html", "symbolic link"), ("no/r.html", "does not exist")):
        with pytest.raises(RunFileError, match=says):
            check_reports([tmp_path / name], option="-o")
    with pytest.raises(OptionError, match="named twice"):
        check_reports([tmp_path / "r.html", tmp_path / "r.html"], option="-o")
