"""The plugin that hands a run in, and leaves out what nobody asked for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from configured import items_with

from pytest_sdbatch.bridges.pytest_items import case_of_item, full_name_of
from pytest_sdbatch.commands.hand_in import HandIn
from pytest_sdbatch.host import HAND_IN, host_of

SOURCE = "def test_it(sd_benchmark): pass\n\ndef test_plain(): pass\n"


class Deselected:
    """Keeps what pytest is told was deselected."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Keep it."""
        self.items += items


def left(items: list[pytest.Item], plugin: HandIn) -> tuple[list[str], list[str]]:
    """Return the names of the tests that *plugin* keeps and of those that it leaves out."""
    config, told = items[0].config, Deselected()
    config.pluginmanager.register(told)
    steps = plugin.pytest_collection_modifyitems(config, items)
    next(steps)
    with pytest.raises(StopIteration):
        next(steps)
    return [one.name for one in items], [one.name for one in told.items]


@pytest.mark.parametrize(
    ("names", "left_out", "kept"),
    [(None, (), (1, 2, None)), ((1,), (), (1,)), (None, (1,), (2, None)), ((1, 2), (2,), (1,)), ((), (), ())],
)
def test_cases_that_nobody_asked_for_are_deselected(
    pytester: pytest.Pytester, names: Collection[int] | None, left_out: Collection[int], kept: Collection[int | None]
) -> None:
    """By their names with the parameters; where names are given, tests that measure nothing are not run either."""
    items = items_with(pytester, "--sd-batch-sizes=1,2", source=SOURCE)
    host = host_of(items[0].config)
    name_of = dict(zip((1, 2, None), (full_name_of(item, host) for item in items), strict=True))
    wanted = {item.name for item, size in zip(items, name_of, strict=True) if size in kept}

    plugin = HandIn(
        Path("run.json"),
        names=None if names is None else [str(name_of[size]) for size in names],
        left_out=[str(name_of[size]) for size in left_out],
    )
    there, gone = left(list(items), plugin)

    assert set(there) == wanted
    assert set(gone) == {item.name for item in items} - wanted


def test_where_the_run_goes_is_known_before_options_are_read(pytester: pytest.Pytester) -> None:
    """So that files and baselines of the command line are not looked at."""
    config = pytester.parseconfig()

    HandIn(Path("run.json")).pytest_cmdline_main(config)

    assert config.stash[HAND_IN] == Path("run.json")


def test_a_place_that_cannot_be_opened_is_told_before_anything_is_measured(pytester: pytest.Pytester) -> None:
    """It is opened here first: an error of the option ends the process as one of the files does."""
    (item,) = items_with(pytester, "--sd-batch-sizes=1", "-o", "sd_baselines=s4://bucket")
    case, session = case_of_item(item, host_of(item.config)), SimpleNamespace(config=item.config)
    assert case is not None
    host_of(item.config).grid = [case]
    told: Any = session

    with pytest.raises(
        pytest.UsageError, match="--sd-save=main: -o sd_baselines=s4://bucket: fsspec knows no protocol"
    ):
        HandIn(Path("run.json"), baseline="main").pytest_collection_finish(told)
