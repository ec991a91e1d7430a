"""What is written down of the cases of a pytest that only collects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from configured import items_with
from stores import URL, Scripted, raising

from pytest_sdbatch.commands.cluster.collecting import NOT_MEASURED, Collector
from pytest_sdbatch.records import Outcome, full_name
from pytest_sdbatch.storage.run_file import read_run_file

SOURCE = "def test_it(sd_benchmark): pass\n\ndef test_plain(): pass\n\ndef test_idle(sd_case): pass\n"


def collected(pytester: pytest.Pytester, source: str, *arguments: str) -> Path:
    """Return the run file of a pytest that collects *source*."""
    items = items_with(pytester, *arguments, source=source)
    path = pytester.path / "cases.json"
    session = items[0].session
    session.items = items
    Collector(path, path.with_suffix(".plan")).pytest_collection_finish(session)
    return path


def test_cases_are_a_run_of_which_nothing_came(pytester: pytest.Pytester) -> None:
    """In the order of the grid, and only what would be measured."""
    path = collected(pytester, SOURCE, "--sd-batch-sizes=1,4")

    (run,) = read_run_file(path)
    assert [full_name(one.test, one.case) for one in run.records] == [
        f"test_it.py::test_it[fp32-64x64-s4-b{size}x1]" for size in (1, 4)
    ]
    assert {(one.outcome, one.reason, one.test_outcome) for one in run.records} == {
        (Outcome.CRASHED, NOT_MEASURED, "failed")
    }
    assert run.interrupted
    assert run.options["batch_sizes"] == "1,4"
    beside = json.loads(path.with_suffix(".plan").read_text())
    assert beside["seconds"][1] == pytest.approx(4 * beside["seconds"][0])


def test_without_a_benchmark_nothing_is_written(pytester: pytest.Pytester) -> None:
    """Whoever asked says so."""
    assert not collected(pytester, "def test_plain(): pass\n").exists()


@pytest.mark.parametrize("verb", ["list", "read"])
def test_a_store_that_cannot_be_reached_costs_nothing_but_the_order(
    pytester: pytest.Pytester, scripted: type[Scripted], verb: str
) -> None:
    """The node may be let in nowhere; one plans for all, so that nobody plans otherwise."""
    scripted.put("main/cpu.json", b"{}")
    scripted.before = raising(ConnectionError("no route"), when=lambda asked, path: asked == verb)

    path = collected(pytester, SOURCE, "--sd-batch-sizes=1,4", "-o", f"sd_baselines={URL}")

    assert len(json.loads(path.with_suffix(".plan").read_text())["seconds"]) == 2
