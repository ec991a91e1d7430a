"""What is learned: to tell the noise that was added to an image, class by class, at any of a thousand timesteps.

A class-conditional UNet of diffusers, 164 thousand parameters on digits; DDPM's cosine schedule; the loss is the mean
square of the error in the noise. All losses that are compared are those of the same triples of image, timestep and
noise: their error is then a seventh of what it is with noise drawn anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.training.datasets import LearningData

CHANNELS = (16, 32)
TIMESTEPS = 1000
BANDS = 4  # quarters of the timesteps, little noise first
_TRIPLE_SEED = 12345  # whatever the seed of a run
_LEAST_TRIPLES = 350
_LARGEST_PASS = 256  # images judged together, of up to 64x64; of larger ones as many pixels
_LARGEST_PASS_PIXELS = _LARGEST_PASS * 64**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Triples:
    """Images with a timestep and a noise each."""

    images: Any
    labels: Any
    timesteps: Any
    noise: Any

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What a network makes of the fixed triples."""

    held_out: float
    train: float
    bands: tuple[float, ...]
    rare: float | None


class DenoisingTask:
    """Data, a network, a loss, and the triples that judge it.

    Args:
        data: to learn from, and held out.
        device: as torch names it.

    """

    def __init__(self, data: LearningData, *, device: str = "cpu") -> None:
        import torch
        from diffusers import DDPMScheduler

        self.data = data
        self.device = torch.device(device)
        schedule = DDPMScheduler(num_train_timesteps=TIMESTEPS, beta_schedule="squaredcos_cap_v2")
        kept = schedule.alphas_cumprod.to(self.device)
        self._signal, self._noise = kept.sqrt().view(-1, 1, 1, 1), (1 - kept).sqrt().view(-1, 1, 1, 1)
        self.alphas = kept
        self._images, self._labels = data.images.to(self.device), data.labels.to(self.device)
        random = torch.Generator().manual_seed(_TRIPLE_SEED)
        repeats = -(-_LEAST_TRIPLES // len(data.held_out_images))
        self.held_out = self._fixed(data.held_out_images, data.held_out_labels, repeats, random)
        count = min(len(data.images), len(data.held_out_images))
        self.seen = self._fixed(data.images[:count], data.labels[:count], 1, random)

    @property
    def largest_pass(self) -> int:
        """How many images go through a network at once where nothing is learned."""
        return max(1, min(_LARGEST_PASS, _LARGEST_PASS_PIXELS // self.data.side**2))

    def network(self, seed: int) -> Any:
        """Return a network with weights of its *seed*."""
        import torch
        from diffusers import UNet2DModel

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = UNet2DModel(
                sample_size=self.data.side,
                in_channels=self.data.channels,
                out_channels=self.data.channels,
                layers_per_block=1,
                block_out_channels=CHANNELS,
                down_block_types=("DownBlock2D",) * len(CHANNELS),
                up_block_types=("UpBlock2D",) * len(CHANNELS),
                norm_num_groups=8,
                num_class_embeds=len(self.data.class_names),
            )
        return network.to(self.device).train()

    def draw(self, indices: Any, random: Any) -> Triples:
        """Return the images at *indices*, with timesteps and noise from the generator *random*."""
        import torch

        images = self._images[indices]
        timesteps = torch.randint(0, TIMESTEPS, (len(indices),), generator=random)
        noise = torch.randn(images.shape, generator=random)
        return Triples(
            images=images,
            labels=self._labels[indices],
            timesteps=timesteps.to(self.device),
            noise=noise.to(self.device),
        )

    def redraw(self, triples: Triples, random: Any, *, timesteps: bool) -> Triples:
        """Return the same images under noise drawn anew, and at *timesteps* drawn anew where that is asked for."""
        import torch

        noise = torch.randn(triples.noise.shape, generator=random).to(self.device)
        steps = triples.timesteps
        if timesteps:
            steps = torch.randint(0, TIMESTEPS, (len(triples),), generator=random).to(self.device)
        return Triples(images=triples.images, labels=triples.labels, timesteps=steps, noise=noise)

    def loss(self, network: Any, triples: Triples) -> Any:
        """Return the mean loss of *triples*, to be differentiated."""
        return self._errors(network, triples).mean()

    def judge(self, network: Any) -> Losses:
        """Return the losses of the fixed triples; no random number is drawn."""
        import torch

        with evaluating(network):
            held_out = self._each(network, self.held_out)
            seen = self._each(network, self.seen)
        band = self.held_out.timesteps * BANDS // TIMESTEPS
        rare = None
        if self.data.rare_class is not None:
            rare = float(held_out[self.held_out.labels == self.data.rare_class].mean())
        return Losses(
            held_out=float(held_out.mean()),
            train=float(seen.mean()),
            bands=tuple(float(torch.mean(held_out[band == index])) for index in range(BANDS)),
            rare=rare,
        )

    def _errors(self, network: Any, triples: Triples) -> Any:
        noisy = self._signal[triples.timesteps] * triples.images + self._noise[triples.timesteps] * triples.noise
        told = network(noisy, triples.timesteps, class_labels=triples.labels, return_dict=False)[0]
        return (told - triples.noise).square().flatten(1).mean(1)

    def _each(self, network: Any, triples: Triples) -> Any:
        import torch

        parts = []
        for start in range(0, len(triples), self.largest_pass):
            at = slice(start, start + self.largest_pass)
            part = Triples(
                images=triples.images[at],
                labels=triples.labels[at],
                timesteps=triples.timesteps[at],
                noise=triples.noise[at],
            )
            parts.append(self._errors(network, part))
        return torch.cat(parts)

    def _fixed(self, images: Any, labels: Any, repeats: int, random: Any) -> Triples:
        """Return triples of *images*, each *repeats* times, with timesteps spread evenly and dealt out at random."""
        import torch

        images, labels = images.repeat(repeats, 1, 1, 1), labels.repeat(repeats)
        count = len(images)
        even = ((torch.arange(count) + 0.5) * TIMESTEPS / count).long()
        timesteps = even[torch.randperm(count, generator=random)]
        noise = torch.randn(images.shape, generator=random)
        return Triples(
            images=images.to(self.device),
            labels=labels.to(self.device),
            timesteps=timesteps.to(self.device),
            noise=noise.to(self.device),
        )


def use_threads(count: int) -> None:
    """Let torch compute on so many threads of the CPU: with another number sums round otherwise."""
    import torch

    torch.set_num_threads(count)


@contextlib.contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """Let *network* compute without gradients and as it would in use; it goes on training afterwards."""
    import torch

    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(was_training)
