"""Asks the conftest files of a project for the models and variants that it adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.pipelines.catalog import ModelCatalog


class CatalogReader:
    """Lets pytest read its configuration and its first conftest files, asks them, and ends there."""

    def __init__(self) -> None:
        self.catalog: ModelCatalog | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Once the first conftest files are read, instead of what pytest would do then."""
        from pytest_sdbatch.host import catalog_of

        try:
            self.catalog = catalog_of(config)
        except SdbatchError as error:
            raise pytest.UsageError(str(error)) from None
        return 0
