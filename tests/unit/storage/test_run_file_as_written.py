"""Run files as this version writes them are read in one go; what was edited is looked at closely."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sdbatch.records import Run
from pytest_sdbatch.storage import run_file, sides
from pytest_sdbatch.storage.run_file import read_run_file, runs_as_written, runs_in, text_of

FROZEN = Path(__file__).parent / "frozen"


@pytest.mark.parametrize("name", sorted(path.name for path in FROZEN.iterdir()))
def test_what_is_written_is_read_in_one_go(name: str) -> None:
    """Whatever it holds: a file of 10,000 cases would take twice the time."""
    runs = read_run_file(FROZEN / name)

    assert runs_as_written(bytes(text_of(runs, name))) == runs


EDITS: dict[str, tuple[bytes, bytes]] = {
    "a key twice": (b'"outcome":"ok"', b'"outcome":"ok","outcome":"ok"'),
    "a key twice in the header": (b'"interrupted":false', b'"interrupted":true,"interrupted":false'),
    "an unknown key": (b'"outcome":"ok"', b'"outcome":"ok","x":1'),
    "an older schema": (b'"schema":4', b'"schema":3'),
    "a space": (b'"outcome":"ok"', b'"outcome": "ok"'),
    "a wrong type": (b'"outcome":"ok"', b'"outcome":7'),
    "an unknown key beside the cases": (b'"machine_info":', b'"x":1,\n"machine_info":'),
    "cases twice": (b'"commit_info":', b'"benchmarks":[],\n"commit_info":'),
    "no comma after a case": (b"},\n{", b"} \n{"),
    "a comma after the last case": (b'}\n],\n"commit_info"', b'},\n],\n"commit_info"'),
    "a last case that was emptied": (b'\n],\n"commit_info"', b',\n\n],\n"commit_info"'),
    "a line that is empty": (b'{\n"benchmarks":[\n', b'{\n"benchmarks":[\n\n'),
    "two cases on a line": (b"},\n{", b"},{"),
    "an end that is missing": (b'"version":"5.3.1"\n}', b'"version":"5.3.1"'),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_was_edited_is_looked_at_closely(two_runs: tuple[Run, Run], name: str) -> None:
    """Nothing that differs from what is written is believed at the first look."""
    before, after = EDITS[name]
    text = bytes(text_of(two_runs, "run.json"))

    assert before in text
    assert runs_as_written(text.replace(before, after)) is None


def test_our_own_text_is_read_once(two_runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever reads run files: the look that tells what is wrong where takes as long again."""
    text = bytes(text_of(two_runs, "run.json"))
    for module in (run_file, sides):
        monkeypatch.setattr(module, "parse_file", lambda _: pytest.fail("it was parsed again"))

    assert runs_in(text, "run.json") == two_runs
    assert [run.id for run in sides.side_runs_of(text, "run.json")] == ["run-1", "run-2"]
