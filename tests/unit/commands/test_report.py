"""``sdbatch report``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from reported import record, run, trained

from pytest_sdbatch.cli import main
from pytest_sdbatch.storage.run_file import write_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with the runs of two commits, the later one slower, and of another device."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    slower = {"where": {"commit": "ffff0000"}}
    base = [run(number=k) for k in range(4)]
    new = [run(*(record(size, c_s=0.15, number=k) for size in (1, 2, 4)), number=10 + k, **slower) for k in range(2)]
    other = run(*(record(size, c_s=0.4) for size in (1, 2, 4)), number=20, where={"device_name": "NVIDIA L4"})
    for name, runs in (("base", base), ("new", new), ("l4", [other])):
        write_run(tmp_path / f"{name}.json", runs)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_without_a_file_the_screen_shows_table_and_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """As the end of the run did, with the price that is asked for now."""
    assert main(["report", "base.json", "--price=2.49/h", "--memory=24GiB"]) == 0

    out = capsys.readouterr().out.replace("\n    ", " ")
    assert out.startswith("NVIDIA H100 80GB HBM3: base.json ")
    assert "fastest is batch size 16" in out
    assert " per 1000" in out
    assert "with 24.0 GiB: about " in out


def test_training_answers_other_images_and_a_price(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """100 images in batches of 4 are 25 steps of 0.3 s; 500 are 125, and cost by the hour."""
    write_run(folder / "train.json", [run(trained(2), trained(4), number=30)])

    assert main(["report", "train.json"]) == 0
    before = capsys.readouterr().out
    assert main(["report", "train.json", "--images=500", "--price=36/h"]) == 0
    after = " ".join(capsys.readouterr().out.split())

    assert " 25 " in before
    assert "$" not in before
    assert " 125 " in after
    assert "an epoch costs least at batch size 4: $0.37" in after


@pytest.mark.usefixtures("folder")
def test_what_the_screen_has_no_room_for_is_in_what_o_writes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--sd-report is an option of a run, not of this command."""
    monkeypatch.setenv("COLUMNS", "60")

    assert main(["report", "base.json"]) == 0
    assert "(wider screen, -o)" in " ".join(capsys.readouterr().out.split())


def test_several_files_are_written_at_once_and_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A report may replace the one before it."""
    words = ["report", "base.json", "l4.json", "--price=H100:2.49/h,L4:0.71/h", "-o", "r.md", "-o", "r.csv"]

    assert main(words) == 0
    assert main(words) == 0
    assert capsys.readouterr().out == "report: r.md\nreport: r.csv\n" * 2
    assert (folder / "r.md").read_text().count(" per 1000") == 2
    assert (folder / "r.csv").read_text().count("\n") == 1 + 4 * 5 + 3


def test_a_baseline_gives_verdicts_and_a_side_to_look_at(folder: Path) -> None:
    """Cases are named as in sdbatch compare."""
    assert main(["report", "new.json", "--baseline", "base.json", "-o", "r.md"]) == 0

    text = (folder / "r.md").read_text()
    assert "## What changed" in text
    assert "**base: NVIDIA H100 80GB HBM3, 0123abcdef**" in text
    assert "**NVIDIA H100 80GB HBM3, ffff0000**" in text


def test_verdicts_of_a_file_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As sdbatch compare --json or sdbatch ab --json printed them."""
    main(["compare", "base.json", "--candidate", "new.json", "--json"])
    printed = capsys.readouterr().out
    (folder / "verdicts.json").write_text(printed)

    assert main(["report", "new.json", "--verdicts=verdicts.json"]) == 0
    counts = json.loads(printed)["counts"]
    assert f"{counts['compared']} cases compared: {counts['regressed']} regressed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["base.json", "-o", "r.pdf"], 2, "end it in .html, .md or .csv"),
        (["base.json", "-o", "r.json"], 2, ".json is no kind of report"),
        (["base.json", "-o", "no/r.md"], 1, "make the folder first"),
        (["none.json", "-o", "r.md"], 1, "none.json does not exist\n  do:  name a file that is there"),
        (["bsae.json", "-o", "r.md"], 1, "bsae.json does not exist\n  do:  did you mean base.json?"),
        (["base.json", "base.json"], 1, "a run is given twice: base.json"),
        (["new.json", "--baseline", "new.json"], 1, "a run is given twice"),
        (["new.json", "--baseline", "base.json", "--verdicts", "v.json"], 2, "leave one of them out"),
        (["new.json", "--verdicts", "base.json"], 1, "it holds no verdicts"),
        (["base.json", "--price=H10:2.49/h"], 2, "why: they are of NVIDIA H100 80GB HBM3"),
        (["empty.json"], 1, "no case was measured in empty.json"),
    ],
)
def test_what_cannot_be_is_one_error_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, says: str
) -> None:
    """With what to do, and no traceback."""
    write_run(folder / "empty.json", [replace(run(), records=())])
    before = sorted(folder.iterdir())

    assert main(["report", *words]) == status

    err = capsys.readouterr().err
    assert err.startswith("ERROR: ")
    assert says in err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("--price=2.49", "2.49/h"),
        ("--images=0", "--images=0"),
        ("--sweet-spot=5", "a share"),
        ("--memory=24", "20GiB"),
        ("--objective=beauty", "throughput"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_value_that_cannot_be_read_is_refused(capsys: pytest.CaptureFixture[str], word: str, says: str) -> None:
    """Before a file is opened, with an example."""
    with pytest.raises(SystemExit, match="2"):
        main(["report", "none.json", word])
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_what_was_asked_when_the_runs_were_made_is_asked_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file holds the options; a flag asks anew."""
    write_run(folder / "priced.json", [run(options={"price": "2.49/h", "images": "16"})])

    assert main(["report", "priced.json"]) == 0
    then = capsys.readouterr().out
    assert "16 images: " in then
    assert " per 1000" in then
    assert main(["report", "priced.json", "--images=8"]) == 0
    assert "8 images: " in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="such names are made by no other system")
def test_names_of_files_are_shown_and_not_obeyed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and commands of a job's log, in what is written, missing, or no price."""
    (folder / "a\x1b[31m\n::error::b").mkdir()
    assert main(["report", "l4.json", "-o", "a\x1b[31m\n::error::b/r.md"]) == 0
    assert main(["report", "c\x1b[31m\n::error::d.json"]) == 1
    with pytest.raises(SystemExit):
        main(["report", "l4.json", "--price=\x1b[31m\n::error::"])

    said = capsys.readouterr()
    assert said.out == "report: a\\x1b[31m \\x3a:error::b/r.md\n"
    assert said.err.startswith("ERROR: c\\x1b[31m\n  \\x3a:error::d.json does not exist\n")
    assert not [line for line in said.err.splitlines() if not line.isprintable() or line.startswith("::")]


@pytest.mark.skipif(os.name != "posix", reason="pipes have numbers there alone")
def test_nobody_reads_on_and_nothing_is_complained(folder: Path) -> None:
    """``sdbatch report RUN.json | head -1`` ends without a traceback."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from pytest_sdbatch.cli import main; raise SystemExit(main())", "report"]

    done = subprocess.run(
        [*command, "l4.json"], cwd=folder, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120, check=False
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (1, "")
