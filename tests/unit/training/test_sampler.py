"""Which images come next."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sdbatch.training.sampler import Sampler


@given(st.integers(1, 30), st.lists(st.integers(1, 50), min_size=1, max_size=10), st.integers(0, 99))
@settings(max_examples=40)
def test_batches_are_whole_and_epochs_repeat_nothing(images: int, batches: list[int], seed: int) -> None:
    """Cut into epochs, what was dealt out is each image once, whatever the batch sizes."""
    sampler = Sampler(images, torch.Generator().manual_seed(seed))
    dealt: list[int] = []
    for size in batches:
        taken = sampler.take(size).tolist()
        assert len(taken) == size
        dealt += taken

    for start in range(0, len(dealt), images):
        epoch = dealt[start : start + images]
        assert len(set(epoch)) == len(epoch)


def test_a_short_epoch_draws_anew() -> None:
    """Batches of an epoch of four differ from each other, and the next epoch may repeat them."""
    sampler = Sampler(1000, torch.Generator().manual_seed(0))
    epochs = [sampler.take(4, epoch_examples=4).tolist() for _ in range(400)]

    assert all(len(set(epoch)) == 4 for epoch in epochs)
    assert len({index for epoch in epochs for index in epoch}) < 900, "images came again before all had come"


def test_equal_seeds_deal_alike() -> None:
    """Runs are compared by seed."""
    one, other = (Sampler(50, torch.Generator().manual_seed(7)) for _ in range(2))

    assert torch.equal(one.take(120), other.take(120))
