"""What forbids to train at all, told before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import LORA, STEP
from pytest_sdbatch.training import lora, optimizers
from pytest_sdbatch.training.families import family_of

if TYPE_CHECKING:
    from pytest_sdbatch.pipelines.catalog import ModelCatalog


def check_cases(cases: Iterable[Case], catalog: ModelCatalog) -> None:
    """Refuse cases of a model whose step is not known, and of what needs a package that is missing.

    Raises:
        ModelError: for the first of them. What a folder or a hub id holds is known when it is loaded.

    """
    for case in cases:
        how = case.training
        if how is None or how.method == STEP:
            continue
        entry = catalog.architecture(case.model or "")
        if entry is not None:
            family_of(entry.pipeline_class)
        optimizers.check_installed(how.optimizer)
        if how.method == LORA:
            lora.check_installed()
