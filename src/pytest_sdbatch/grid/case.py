"""A case: one point of the grid, and the id by which people and files name it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_PLAIN = re.compile(r"[^A-Za-z0-9._@/+~-]")


def escape_name(name: str) -> str:
    """Return *name* with every character that ids, shells or tables could trip over as ``%XX`` of its UTF-8 bytes.

    Distinct names stay distinct (``%`` is escaped too).
    """
    return _PLAIN.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One point of the grid; two cases are equal exactly when their ids are, on one device.

    ``batch_size`` is images per pipeline call, ``batch_count`` is calls one after another.
    """

    model: str | None  # catalog name, folder or hub id as written; None: the user's code brings its own
    weights: str = "random"  # "random", "trained" or "own"
    weights_seed: int = 0
    dtype: str
    device: str
    variant: str = "eager"  # canonical: names joined by "+"
    height: int
    width: int
    steps: int  # num_inference_steps
    guidance: float | None = None  # guidance_scale; None: the pipeline's own default
    output_type: str = "pt"
    batch_size: int
    batch_count: int

    @property
    def images(self) -> int:
        """Images made in one round."""
        return self.batch_size * self.batch_count

    @property
    def split(self) -> str:
        """Batch size x batch count, as in ``4x8``."""
        return f"{self.batch_size}x{self.batch_count}"

    @property
    def label(self) -> str:
        """The model as shown: full-size random weights say so, tiny models need not."""
        if self.model is None:
            return ""
        name = escape_name(self.model)
        if self.weights != "random":  # a folder called sd15-random is not the catalog's sd15
            return re.sub("-random$", "%2Drandom", name)
        return name if name.startswith("tiny-") else f"{name}-random"

    @property
    def id(self) -> str:
        """``model-dtype-HxW-sS[-variant][-gG][-oO][-wW]-bBxN``: non-default parts appear in this order."""
        return f"{self.group_id}-b{self.split}"

    @property
    def group_id(self) -> str:
        """The id without the split: the cases of one group form one curve over batch size."""
        parts = [self.dtype, f"{self.height}x{self.width}", f"s{self.steps}"]
        if self.model is not None:
            parts.insert(0, self.label)
        if self.variant != "eager":
            parts.append(self.variant)
        if self.guidance is not None:
            parts.append(f"g{self.guidance!r}".removesuffix(".0"))
        if self.output_type != "pt":
            parts.append(f"o{self.output_type}")
        if self.weights_seed != 0:
            parts.append(f"w{self.weights_seed}")
        return "-".join(parts)

    @property
    def pool_key(self) -> tuple[str, str, str, str, int]:
        """What has to be loaded: cases with equal keys share one pipeline."""
        return (self.model or "", self.dtype, self.device, self.variant, self.weights_seed)

    @property
    def shape_key(self) -> tuple[object, ...]:
        """What has to be warmed up: cases that differ in batch count only share it."""
        return (replace(self, batch_count=1),)
