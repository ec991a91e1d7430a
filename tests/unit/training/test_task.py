"""What is learned: the network, its loss, and the triples that judge all runs alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pytest_sdbatch.training.datasets import LearningData, subset
from pytest_sdbatch.training.task import TIMESTEPS, DenoisingTask, evaluating


def test_the_network_is_the_seed_s(task: DenoisingTask) -> None:
    """Equal seeds give equal weights, whatever was drawn before; torch's own generator is left as it was."""
    before = torch.get_rng_state()
    one, again, other = (list(task.network(seed).parameters()) for seed in (1, 1, 2))

    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(before, torch.get_rng_state())
    assert 160_000 < sum(parameter.numel() for parameter in one) < 166_000


def test_a_new_network_is_judged_alike_every_time(task: DenoisingTask) -> None:
    """No random number is drawn; telling nothing of noise with variance 1 is a loss of about 1."""
    network = task.network(0)
    found = task.judge(network)

    assert found == task.judge(network)
    assert 0.8 < found.held_out < 1.5
    assert len(found.bands) == 4
    assert found.rare is None
    assert network.training, "it goes on training"


@pytest.mark.parametrize(("side", "largest"), [(8, 256), (64, 256), (128, 64), (512, 4), (2048, 1)])
def test_larger_images_are_judged_fewer_at_a_time(blobs: LearningData, side: int, largest: int) -> None:
    """A pass takes as many pixels, whatever their size, and never more than 256 images."""
    data = replace(blobs, images=torch.zeros((1, 1, side, side)), labels=torch.zeros(1, dtype=torch.long))

    assert DenoisingTask(data).largest_pass == largest


def test_what_is_judged_in_parts_is_judged_alike(task: DenoisingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are those of each image by itself."""
    network = task.network(0)
    whole = task.judge(network)
    monkeypatch.setattr(DenoisingTask, "largest_pass", 7)

    assert task.judge(network).held_out == pytest.approx(whole.held_out, rel=1e-5)


def test_timesteps_are_spread_evenly(task: DenoisingTask) -> None:
    """Each quarter of them has its share of the triples."""
    quarters = torch.bincount(task.held_out.timesteps * 4 // TIMESTEPS, minlength=4)

    assert int(quarters.max() - quarters.min()) <= 1


def test_a_rare_class_has_a_loss_of_its_own(blobs: LearningData) -> None:
    """That of its held-out images."""
    rare = DenoisingTask(subset(blobs, "rare"))

    assert rare.judge(rare.network(0)).rare is not None


def test_images_are_kept_where_noise_is_drawn_anew(task: DenoisingTask) -> None:
    """And timesteps, unless they are to be drawn, too."""
    random = torch.Generator().manual_seed(0)
    drawn = task.draw(torch.arange(16), random)
    noise, both = (task.redraw(drawn, random, timesteps=anew) for anew in (False, True))

    assert torch.equal(noise.images, drawn.images)
    assert torch.equal(noise.timesteps, drawn.timesteps)
    assert not torch.equal(noise.noise, drawn.noise)
    assert not torch.equal(both.timesteps, drawn.timesteps)


def test_evaluating_ends_also_with_an_error(task: DenoisingTask) -> None:
    """A network is never left as it is not trained."""
    network = task.network(0)

    with evaluating(network):
        assert not network.training
    with pytest.raises(TypeError), evaluating(network):
        network(None)
    assert network.training
