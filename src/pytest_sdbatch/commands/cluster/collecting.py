"""What a sweep would measure: pytest collects it on a node, where its device and its files are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch.commands.hand_in import HandIn
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sdbatch.grid.case import Case

NOT_MEASURED = "it was not measured"


class Collector(HandIn):
    """A plugin that writes down the cases of a pytest that only collects.

    Args:
        run_file: where: as a run of which nothing came, so that it holds where it would be measured, too.
        plan_file: where it writes what is known of these cases beside that.

    """

    def __init__(self, run_file: Path, plan_file: Path) -> None:
        super().__init__(run_file)
        self._plan_file = plan_file

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write both files, in the order in which the cases would be measured."""
        from pytest_sdbatch.bridges import pytest_items, sharding
        from pytest_sdbatch.host import host_of
        from pytest_sdbatch.records import Outcome
        from pytest_sdbatch.storage.run_file import write_run

        host = host_of(session.config)
        found = [
            (pytest_items.name_of_test(item, case), case)
            for item in session.items
            if isinstance(item, pytest.Function)
            and (case := pytest_items.case_of_item(item, host)) is not None
            and pytest_items.measures(item)
        ]
        if not found:
            return
        cases = [case for _, case in found]
        try:
            seconds, _ = sharding.expected_seconds(cases, host)
        except SdbatchError:  # a store that this node cannot reach: one node plans for all, and this is the order alone
            seconds = sharding.guessed_seconds(cases, host)
        records = tuple(host.session.unmeasured(test, case, NOT_MEASURED, Outcome.CRASHED) for test, case in found)
        write_run(self._run_file, [replace(host.session.run(interrupted=True), records=records)])
        self._plan_file.write_text(json.dumps({"seconds": seconds, "paths": sorted(_paths(cases))}), encoding="utf-8")


def _paths(cases: Iterable[Case]) -> set[str]:
    """Return the folders and files that are loaded for *cases*."""
    from pytest_sdbatch.pipelines import sources

    trained = {case.model for case in cases if case.model is not None and case.weights == "trained"}
    return {name for name in trained if isinstance(sources.parse(name), sources.Folder | sources.SingleFile)}
