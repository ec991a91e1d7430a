"""One case on one pipeline: rounds, then the memory round, and what the target raised as a value."""

from __future__ import annotations

from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.measure.attempt import Attempt
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.pipelines.generation import Batch, GenerationWorkload
from pytest_sdbatch.records import StopReason

CASE = Case(model=None, dtype="fp32", device="fake", height=64, width=64, steps=4, batch_size=2, batch_count=1)


class Target:
    """Generates, and raises at its *fails_at*-th call."""

    def __init__(self, device: FakeDevice, *, fails_at: int = 0) -> None:
        self.device = device
        self.fails_at = fails_at
        self.calls = 0

    def __call__(self, batch: Batch) -> object:
        """Make the images of *batch*, or raise."""
        self.calls += 1
        if self.calls == self.fails_at:
            raise ValueError(f"call {self.calls}")
        return self.device.generate(batch)


def attempt(target: Target) -> Attempt:
    """Return an attempt of one warm-up call and three rounds."""
    return Attempt(target.device, GenerationWorkload(target, CASE), Rules(rounds=3, warmup_calls=1), compiled=False)


def test_the_memory_round_follows_the_rounds() -> None:
    """One more round of the same calls, and the outputs of the last timed one stay the caller's."""
    target = Target(FakeDevice())
    made = attempt(target)
    result = made.run(None, warm=False)
    memory, reason = made.memory_round(result, None, wanted=True)

    assert target.calls == 1 + 3 + 1
    assert len(result.outputs) == 1
    assert (made.error, reason) == (None, None)
    assert memory is not None
    assert memory.peak.value == target.device.in_use_bytes().value


def test_there_is_no_memory_round_where_none_is_wanted_or_the_rounds_failed() -> None:
    """The reason is given, and the target is not called again."""
    unwanted, full, broken = (
        Target(FakeDevice()),
        Target(FakeDevice(capacity_images=1)),
        Target(FakeDevice(), fails_at=3),
    )
    reasons = []
    for target, wanted in ((unwanted, False), (full, True), (broken, True)):
        made = attempt(target)
        result = made.run(None, warm=False)
        calls = target.calls
        memory, reason = made.memory_round(result, None, wanted=wanted)
        reasons.append(reason)
        assert memory is None
        assert target.calls == calls

    assert reasons == ["left out (memory_round=no)", "the rounds did not end", "the rounds did not end"]


def test_what_the_target_raises_is_kept_with_the_rounds_before_it() -> None:
    """In a round as in the memory round."""
    in_round, in_memory_round = (attempt(Target(FakeDevice(), fails_at=number)) for number in (3, 5))
    result = in_round.run(None, warm=False)
    whole = in_memory_round.run(None, warm=False)
    memory, reason = in_memory_round.memory_round(whole, None, wanted=True)

    assert (len(result.rounds), result.stopped, str(in_round.error)) == (1, StopReason.FAILED, "call 3")
    assert (len(whole.rounds), memory, reason) == (3, None, "the target raised")
    assert str(in_memory_round.error) == "call 5"
