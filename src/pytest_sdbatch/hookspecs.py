"""What a project may add from its conftest or a plugin of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_sdbatch.devices.device import Device
    from pytest_sdbatch.pipelines.catalog import Model
    from pytest_sdbatch.pipelines.variants import Variant


@pytest.hookspec
def pytest_sdbatch_models(config: pytest.Config) -> list[Model] | None:
    """Return models that ``--sd-models`` can name besides those that ship.

    Called once, before the first benchmark is collected, and by ``sdbatch models``, where nothing is configured yet
    but options are. Import torch in ``Model.load``, not here. A name that is taken ends the run.
    """


@pytest.hookspec
def pytest_sdbatch_variants(config: pytest.Config) -> list[Variant] | None:
    """Return variants that ``--sd-variants`` can name besides those that ship; called like pytest_sdbatch_models.

    ``Variant.apply(pipeline)`` changes a newly loaded pipeline in place.
    """


@pytest.hookspec(firstresult=True)
def pytest_sdbatch_make_device(name: str) -> Device | None:
    """Return the device that ``--sd-device=name`` means, or None to leave it to the plugin.

    Called once, before the first benchmark is collected. ``pytest_sdbatch.devices.fake.FakeDevice`` is one whose
    clock and memory a test controls.
    """
