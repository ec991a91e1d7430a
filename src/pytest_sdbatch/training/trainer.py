"""A network that learns, with its optimizer: one step of both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import LORA, Training
from pytest_sdbatch.pipelines.dtypes import torch_dtype
from pytest_sdbatch.training import lora, optimizers
from pytest_sdbatch.training.families import Family
from pytest_sdbatch.training.together import Together

Timed = Callable[..., Any]  # (stage, call, *arguments) -> what the call returns


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What training keeps in memory besides activations: parameters, and bytes."""

    trainable_parameters: int
    weight_bytes: int  # of the network, those that learn and those that do not
    gradient_bytes: int
    optimizer_bytes: int


class Trainer:
    """Trains the denoiser of *pipeline* as *case* says, from fresh adapters and with a fresh optimizer."""

    def __init__(
        self, pipeline: Any, family: Family, case: Case, *, seed: int, rate: float, together: Together
    ) -> None:
        import torch

        how = case.training or Training()
        self._pipeline = pipeline
        self._loss = family.loss
        self._denoiser = getattr(pipeline, family.denoiser)
        self._kind = self._denoiser.device.type
        if how.method == LORA:
            self._parameters = lora.adapt(self._denoiser, rank=how.rank or 1, layers=family.adapted, seed=seed)
        else:
            self._denoiser.to(dtype=torch.float32)  # the weights that learn: half precision would lose small steps
            self._denoiser.requires_grad_(True)
            self._parameters = list(self._denoiser.parameters())
        self._denoiser.train()
        if how.checkpointing:
            self._denoiser.enable_gradient_checkpointing()
        else:
            self._denoiser.disable_gradient_checkpointing()
        self._together = together
        self._network = together.wrap(self._denoiser, self._kind)
        self._optimizer = optimizers.make(how.optimizer, self._parameters, rate=rate)
        self._half = None if case.dtype == "fp32" else torch_dtype(case.dtype)
        self._scaler = torch.amp.GradScaler(self._kind, enabled=case.dtype == "fp16")
        self._generator = torch.Generator(self._denoiser.device).manual_seed(seed + together.rank)

    def step(self, batches: Sequence[Any], encode: Callable[[Any], Mapping[str, Any]] | None, timed: Timed) -> Any:
        """Make one optimizer step and return its mean loss, for which nobody has waited yet.

        Args:
            batches: gone through one after another, their gradients summed.
            encode: makes the examples of a batch; None: they are made.
            timed: makes the phases.

        """
        total = None
        for number, batch in enumerate(batches, start=1):
            examples = batch if encode is None else timed("encode", encode, batch)
            # Of the last batch only the gradients are shared, which hold those of the others.
            last = number == len(batches)
            with contextlib.nullcontext() if last else self._together.alone(self._network, self._kind):
                loss = timed("forward", self._forward, examples, len(batches))
                timed("backward", self._backward, loss)
            total = loss.detach() if total is None else total + loss.detach()
        timed("optimizer", self._update)
        return total

    @property
    def held(self) -> Held:
        """What it keeps now; the optimizer keeps nothing before its first step."""
        return Held(
            trainable_parameters=sum(parameter.numel() for parameter in self._parameters),
            weight_bytes=_bytes(self._denoiser.parameters()),
            gradient_bytes=_bytes(self._parameters),
            optimizer_bytes=optimizers.state_bytes(self._optimizer),
        )

    def close(self) -> None:
        """Let go of gradients and of what the optimizer keeps."""
        self._optimizer.zero_grad(set_to_none=True)
        self._optimizer.state.clear()
        self._denoiser.eval()

    def _forward(self, examples: Mapping[str, Any], parts: int) -> Any:
        import torch

        half = contextlib.nullcontext() if self._half is None else torch.autocast(self._kind, dtype=self._half)
        with half:
            return self._loss(self._pipeline, self._network, examples, self._generator) / parts

    def _backward(self, loss: Any) -> None:
        self._scaler.scale(loss).backward()

    def _update(self) -> None:
        import torch

        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self._parameters, optimizers.LARGEST_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)


def _bytes(parameters: Any) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)
