"""What a project may add from its conftest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_sdbatch.devices.device import Device


@pytest.hookspec(firstresult=True)
def pytest_sdbatch_make_device(name: str) -> Device | None:
    """Return the device that ``--sd-device=name`` means, or None to leave it to the plugin.

    Called once, before the first benchmark is collected. ``pytest_sdbatch.devices.fake.FakeDevice`` is one whose
    clock and memory a test controls.
    """
