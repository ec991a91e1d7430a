"""Stages that a workload announces itself are timed, and their peaks read, like components."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.measure.phases import PhaseClock


class Announcer:
    """Makes its phases by whoever times them."""

    phases = ("forward", "backward")

    def __init__(self, device: FakeDevice) -> None:
        self.timed: Callable[..., Any] | None = None
        self._device = device

    def step(self, *, backward: bool = True) -> None:
        """Take 1 s forward, and 2 s backward."""
        assert self.timed is not None
        self.timed("forward", self._device.advance, 1.0)
        if backward:
            self.timed("backward", self._device.advance, 2.0)


def test_phases_are_timed_while_the_clock_is_attached() -> None:
    """Summed over calls; afterwards the workload is on its own again."""
    device = FakeDevice()
    announcer = Announcer(device)

    with PhaseClock(announcer, device) as clock:
        announcer.step()
        announcer.step()
        split = clock.read()

    assert split.seconds == pytest.approx({"forward": 2.0, "backward": 4.0})
    assert announcer.timed is None


def test_a_phase_that_was_not_seen_makes_the_split_unknown() -> None:
    """With the reason, never a zero."""
    device = FakeDevice()
    announcer = Announcer(device)

    with PhaseClock(announcer, device) as clock:
        announcer.step(backward=False)
        split = clock.read()

    assert (split.seconds, split.reason) == (None, "no call of backward was seen")


def test_borders_of_phases_are_told() -> None:
    """So that the peak of each can be read."""
    device = FakeDevice()
    told: list[str | None] = []
    announcer = Announcer(device)

    with PhaseClock(announcer, device) as clock, clock.at_borders(told.append):
        announcer.step()

    assert told == ["forward", None, "backward", None]
