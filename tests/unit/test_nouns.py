"""The words of a workload."""

from __future__ import annotations

from pytest_sdbatch.nouns import GENERATION, TRAINING, either


def test_a_workload_gives_its_words() -> None:
    """What is timed of it, what is made, and how that is told."""
    assert (GENERATION.per_call, GENERATION.a_call, GENERATION.rate) == ("per call", "a call", "images/s")
    assert (TRAINING.per_call, TRAINING.a_call, TRAINING.rate) == ("per step", "a step", "examples/s")


def test_of_several_kinds_the_words_hold_for_each() -> None:
    """In their order, each once; of none they are those of generation."""
    both = either([TRAINING, GENERATION, TRAINING])

    assert (both.per_call, both.image, both.images) == ("per step or call", "example or image", "examples or images")
    assert either([]) == GENERATION
    assert either([TRAINING]) == TRAINING
