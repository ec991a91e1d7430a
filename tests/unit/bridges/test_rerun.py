"""Suspects that run again: with which words, in which processes, and what of them is read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from configured import host_with, screen_of
from reported import run

from pytest_sdbatch.bridges import rerun
from pytest_sdbatch.commands import children
from pytest_sdbatch.host import Host
from pytest_sdbatch.storage.run_file import write_run

NAMES = ("test_it.py::test_it[b1x1]", "test_it.py::test_it[b4x1]")


class Processes:
    """Stands for processes: each writes its run, but those that leave none, or are stopped."""

    def __init__(self, *, silent: Sequence[int] = (), stopped: int | None = None) -> None:
        self.commands: list[Sequence[str]] = []
        self.selected: list[list[str]] = []
        self.folders: list[Path] = []
        self._silent = silent
        self._stopped = stopped

    def __call__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: BinaryIO
    ) -> tuple[int, bool]:
        """Do what a process would."""
        (path,) = (Path(word) for word in command if word.endswith(".json"))
        self.commands.append(command)
        self.selected.append(json.loads(children.selection_of(path).read_text()))
        self.folders.append(path.parent)
        number = len(self.commands)
        if number in self._silent:
            output.write(b"first\n" + b"line\n" * 9 + b"ImportError: no module\n")
        else:
            write_run(path, [run(number=number)])
        return 0, number == self._stopped


@pytest.fixture
def host(pytester: pytest.Pytester) -> Host:
    """Return the host of a run whose baseline was typed."""
    return host_with(pytester, "--sd-baseline=main", "--sd-gate", "-k", "fast")


def again(host: Host, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the runs of three of *processes*."""
    monkeypatch.setattr(children, "run_child", processes)
    return list(rerun.fresh_runs(host, NAMES, processes=3))


def test_each_process_runs_the_suspects_of_the_same_command_line(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was, so that options mean what they meant; this process, which is on the device too, is borne there."""
    processes = Processes()

    runs = again(host, processes, monkeypatch)

    assert len({one.id for one in runs}) == 3
    assert processes.selected == [list(NAMES)] * 3
    for command in processes.commands:
        assert command[0] == sys.executable
        assert list(command[-2:]) == ["-o", "sd_foreign_processes=warn"]
        assert {"--sd-baseline=main", "--sd-gate", "-k", "fast"} <= set(command)
    assert not any(folder.exists() for folder in processes.folders)


def test_a_process_that_leaves_no_run_is_said_with_its_last_lines(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others count: the verdict says of how many runs it is."""
    runs = again(host, Processes(silent=[2]), monkeypatch)

    assert len(runs) == 2
    (note,) = host.notes
    assert note.startswith("ERROR: a fresh process left no run (")
    assert note.splitlines()[1:] == [*["  line"] * 4, "  ImportError: no module"]


def test_told_to_stop_nothing_is_left_behind(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest ends as by Ctrl-C, and no other process begins."""
    processes = Processes(stopped=2)

    with pytest.raises(KeyboardInterrupt):
        again(host, processes, monkeypatch)

    assert len(processes.commands) == 2
    assert not any(folder.exists() for folder in processes.folders)


@pytest.mark.parametrize("path", [["", "/lib"], ["/elsewhere"]])
def test_a_path_that_held_the_current_folder_holds_it_again(
    path: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``python -m pytest`` puts it there, which ``-P`` leaves out; behind another start it stays out."""
    monkeypatch.setattr(sys, "path", path)
    monkeypatch.setenv("PYTHONPATH", "mine")

    found = rerun._variables(tmp_path)["PYTHONPATH"]

    assert found == (os.pathsep.join([str(tmp_path), "mine"]) if "" in path else "mine")


@pytest.mark.parametrize(("names", "said"), [(NAMES[:1], "1 case looks"), (NAMES, "2 cases look")])
def test_what_runs_again_is_announced(host: Host, names: Sequence[str], said: str) -> None:
    """It takes as long as the run did, perhaps."""
    screen = screen_of(host)

    rerun.announce(host, names, baseline="main", processes=3)

    assert f"sdbatch: {said} slower than main; again in 3 fresh processes, one after the other" in screen.getvalue()
