"""A process that is told which cases to run, and where its run is to go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_sdbatch.commands import one_process
from pytest_sdbatch.commands.children import one_process as command_of
from pytest_sdbatch.commands.children import select
from pytest_sdbatch.commands.hand_in import HandIn


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[str], HandIn]]:
    """Return what pytest is run with, in place of running it."""
    runs: list[tuple[Sequence[str], HandIn]] = []

    def run(arguments: Sequence[str], plugin: HandIn) -> int:
        runs.append((arguments, plugin))
        return 5

    monkeypatch.setattr(one_process, "run_pytest", run)
    return runs


@pytest.mark.parametrize("names", [None, [], ["a.py::t[b1x1]", "a.py::t[b2x1]"]])
def test_it_runs_what_was_selected_for_its_file(
    names: list[str] | None, tmp_path: Path, given: list[tuple[Sequence[str], HandIn]]
) -> None:
    """All where nothing was; its status is pytest's. None that is wanted is another thing than all."""
    run_file = tmp_path / "1.json"
    if names is not None:
        select(run_file, names)

    assert one_process.main(str(run_file), ["benchmarks/", "-k", "fast"]) == 5

    ((arguments, plugin),) = given
    assert arguments == ["benchmarks/", "-k", "fast"]
    assert plugin._run_file == run_file
    for name in ("a.py::t[b1x1]", "b.py::t[b1x1]"):
        assert plugin._is_wanted(name) == (names is None or name in names)


def test_the_command_of_a_process_is_this_module() -> None:
    """With the folder of the caller left out of its path, so that it imports what this process does."""
    command = command_of(Path("run.json"), ["-k", "a b"], python="python")

    assert command == ["python", "-P", "-m", one_process.__name__, "run.json", "-k", "a b"]
