"""Memory layout, and the VAE in parts."""

from __future__ import annotations

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.variants.memory import channels_last, vae_slicing


class Pipeline:
    """A pipeline of the networks it is given."""

    def __init__(self, **parts: object) -> None:
        vars(self).update(parts)


def test_convolutions_in_two_and_in_three_dimensions_have_their_own_layout() -> None:
    """The VAE of a video model holds both; torch refuses to convert such a module as a whole."""
    import torch

    vae = torch.nn.Sequential(torch.nn.Conv3d(4, 8, 3), torch.nn.Conv2d(8, 4, 3))

    channels_last(Pipeline(vae=vae))

    assert vae[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert vae[1].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_pipeline_without_convolutions_has_no_such_layout() -> None:
    """A variant that would change nothing is not measured under its name."""
    import torch

    with pytest.raises(ModelError, match="neither its denoiser nor its VAE holds a convolution"):
        channels_last(Pipeline(transformer=torch.nn.Linear(2, 2)))


def test_a_part_without_the_method_is_named() -> None:
    """The error says which component lacks what."""
    with pytest.raises(ModelError, match=r"its vae, a int, has no enable_slicing\(\)"):
        vae_slicing(Pipeline(vae=3))
