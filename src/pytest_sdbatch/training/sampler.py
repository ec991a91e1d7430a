"""Which images come next: all of them in a random order, or a fresh random part of them in every epoch."""

from __future__ import annotations

from typing import Any


class Sampler:
    """Deals out indices without repeating one within an epoch; batches are whole also where an epoch ends in one.

    Args:
        count: images there are.
        random: a generator of torch, shared with whatever else is drawn.

    """

    def __init__(self, count: int, random: Any) -> None:
        self._count = count
        self._random = random
        self.order: Any = None  # of the epoch; state, as is the place in it
        self.place = 0

    def take(self, number: int, *, epoch_examples: int | None = None) -> Any:
        """Return the next *number* indices.

        Args:
            number: of the batch.
            epoch_examples: after which an epoch ends and a new order is drawn; None: after all of the images.

        """
        import torch

        length = self._count if epoch_examples is None else min(epoch_examples, self._count)
        parts = []
        while number > 0:
            if self.order is None or self.place >= length:
                self.order = torch.randperm(self._count, generator=self._random)
                self.place = 0
            part = self.order[self.place : min(self.place + number, length)]
            parts.append(part)
            self.place += len(part)
            number -= len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)
