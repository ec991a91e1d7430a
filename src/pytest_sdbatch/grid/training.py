"""How a case trains: what it has beside a case of generation, and the parts of the id that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_sdbatch.options import BY_SPELLING

LORA, FULL, STEP = "lora", "full", "step"  # STEP is a step of the test's own, of which nothing more is known
OPTIMIZERS = BY_SPELLING["train_optimizer"].choices
DEFAULT_OPTIMIZER = OPTIMIZERS[0]
# As part of the pattern of an id, behind the resolution.
ID_PATTERN = (
    r"(?:lora(?P<rank>[0-9]+)|(?P<method>full|step))"
    rf"(?:-(?P<optimizer>{'|'.join(OPTIMIZERS[1:])}))?(?P<bare>-nockpt)?(?P<uncached>-nocache)?"
    r"(?:-a(?P<accumulation>[0-9]+))?(?:-p(?P<processes>[0-9]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a case trains. ``batch_size`` of its case is examples that one process puts through the network together.

    An optimizer step sees the batch size x ``accumulation`` x ``processes`` examples: the effective batch.
    """

    method: str = LORA
    rank: int | None = 16  # of LoRA; None for any other method
    optimizer: str = DEFAULT_OPTIMIZER
    checkpointing: bool = True  # whether activations are computed again instead of kept
    cache: bool = True  # whether latents and text embeddings are made once, before the steps
    accumulation: int = 1  # batches per optimizer step
    processes: int = 1  # that train together, a batch each

    @property
    def id(self) -> str:
        """``lora16[-OPTIMIZER][-nockpt][-nocache][-aA][-pP]``: what is not the default appears in this order."""
        parts = [f"{self.method}{self.rank}" if self.method == LORA else self.method]
        if self.optimizer != DEFAULT_OPTIMIZER:
            parts.append(self.optimizer)
        parts += ["nockpt"] if not self.checkpointing else []
        parts += ["nocache"] if not self.cache else []
        parts += [f"a{self.accumulation}"] if self.accumulation != 1 else []
        parts += [f"p{self.processes}"] if self.processes != 1 else []
        return "-".join(parts)

    def pool_key(self, height: int, width: int) -> str:
        """Return what has to be loaded anew for images of that size in pixels.

        Adapters and the precision of the weights stay with the pipeline; so does what was cached, for one size, in
        place of what encodes images and captions.
        """
        return f"{self.method}{self.rank or ''}{f'-{height}x{width}' if self.cache else ''}"


def training_of_id(found: Mapping[str, str | None]) -> Training | None:
    """Return how the case trains whose id matched ID_PATTERN with the groups *found*; None: it generates."""
    if found["rank"] is None and found["method"] is None:
        return None
    return Training(
        method=found["method"] or LORA,
        rank=None if found["rank"] is None else int(found["rank"]),
        optimizer=found["optimizer"] or DEFAULT_OPTIMIZER,
        checkpointing=found["bare"] is None,
        cache=found["uncached"] is None,
        accumulation=int(found["accumulation"] or 1),
        processes=int(found["processes"] or 1),
    )
