"""What makes a pytest run one of several that measure: it hands its run in, and runs only what it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest


class HandIn:
    """A plugin that tells ours where to write its run, in place of the files that were asked for.

    Args:
        run_file: where.
        names: of the cases to run, node ids with the parameters; None: all.
        left_out: names of cases that are not run.
        baseline: name of what the run is for, which must be such as can be written; None: it is for none.
        journals: the folder of its journal; None: beside those of the project.

    """

    def __init__(
        self,
        run_file: Path,
        *,
        names: Collection[str] | None = None,
        left_out: Collection[str] = (),
        baseline: str | None = None,
        journals: Path | None = None,
    ) -> None:
        self._run_file = run_file
        self._journals = journals
        self._baseline = baseline
        self._names = None if names is None else frozenset(names)
        self._left_out = frozenset(left_out)

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Before the plugin looks at the command line."""
        from pytest_sdbatch.host import HAND_IN, JOURNALS

        config.stash[HAND_IN] = self._run_file
        if self._journals is not None:
            config.stash[JOURNALS] = self._journals

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
        """Leave the cases out that nobody asked for, once all others have had their say."""
        result = yield
        if self._names is None and not self._left_out:
            return result
        from pytest_sdbatch.bridges.pytest_items import full_name_of
        from pytest_sdbatch.host import host_of

        host = host_of(config)
        wanted = [self._is_wanted(full_name_of(item, host)) for item in items]
        dropped = [item for item, kept in zip(items, wanted, strict=True) if not kept]
        if dropped:
            items[:] = [item for item, kept in zip(items, wanted, strict=True) if kept]
            config.hook.pytest_deselected(items=dropped)
        return result

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse, before anything is measured, a baseline that cannot be written: its device is known by now."""
        from pytest_sdbatch.errors import SdbatchError
        from pytest_sdbatch.host import host_of

        host = host_of(session.config)
        if self._baseline is None or not host.grid:
            return
        try:
            host.baselines.check_new(host.baseline_key(self._baseline))
        except SdbatchError as error:
            raise pytest.UsageError(f"--sd-save={self._baseline}: {error}") from None

    def _is_wanted(self, name: str | None) -> bool:
        return name not in self._left_out and (self._names is None or name in self._names)
