"""What the tests of pipelines share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_sdbatch.errors import CannotRun
from pytest_sdbatch.pipelines.variants import check


@pytest.fixture(scope="session")
def needs() -> Callable[[str], None]:
    """Skip a test of a variant that this machine or an older diffusers cannot run, with the reason that users see."""

    def skip_unless_it_runs(variant: str) -> None:
        try:
            check(variant, device="cpu", weights="trained")
        except CannotRun as error:
            pytest.skip(f"{error.what}: {error.why}")

    return skip_unless_it_runs
