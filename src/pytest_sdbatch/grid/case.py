"""A case: one point of the grid, and the id by which people and files name it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from pytest_sdbatch.grid.training import ID_PATTERN, Training, training_of_id
from pytest_sdbatch.nouns import GENERATION, TRAINING, Nouns

PoolKey = tuple[str, str, str, str, int, str]

_UNSAFE = re.compile(r"[^A-Za-z0-9._@/+~-]")
_WEIGHTS_SUFFIXES = ("-random", "-trained", "-own")
# Parts of a variant's name that would read as another part of the id: a size, guidance, output type or seed.
_PART_LIKE = re.compile(r"(?:^|(?<=-))(?=(?:b?[0-9]+x[0-9]+|g[0-9.e+]+|o(?:pt|latent|np|pil)|w[0-9]+)(?:-|$))(.)")
# Greedy where a model's name may imitate what follows it; a variant's name cannot, see _PART_LIKE.
_ID = (
    r"(?:(?P<label>.*)-)?(?P<dtype>fp32|fp16|bf16)-(?P<height>[0-9]+)x(?P<width>[0-9]+)"
    r"(?:(?:-f(?P<frames>[0-9]+))?-s(?P<steps>[0-9]+)(?:-(?P<variant>.+?))??"
    r"(?:-g(?P<guidance>[0-9.]+(?:e[+-]?[0-9]+)?))?(?:-o(?P<output_type>latent|np|pil))?"
    rf"|-{ID_PATTERN})(?:-w(?P<seed>[0-9]+))?"
    r"-b(?P<size>[0-9]+)x(?P<count>[0-9]+)(?=-|$)"
)


@functools.lru_cache(maxsize=256)  # ten thousand cases are of a few models
def escape_name(name: str) -> str:
    """Return *name* with every character that ids, shells or tables could trip over as ``%XX`` of its UTF-8 bytes.

    Distinct names stay distinct (``%`` is escaped too).
    """
    return _UNSAFE.sub(_percent, name)


def _unescape(text: str) -> str:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text).decode("utf-8", "surrogatepass")


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One point of the grid; two cases are equal exactly when their ids are, on one device.

    ``batch_size`` is images per pipeline call, ``batch_count`` is calls one after another. A video counts as one image.
    Of training ``batch_size`` is examples that go through the network together, ``batch_count`` batches of an epoch.
    """

    model: str | None  # catalog name, folder or hub id as written; None: the user's code brings its own
    weights: str = "random"  # "random", "trained" or "own"; "own" where model is None
    weights_seed: int = 0
    dtype: str
    device: str
    variant: str = "eager"  # canonical: names joined by "+"
    height: int
    width: int
    frames: int | None = None  # of each video; None: images
    steps: int  # num_inference_steps
    guidance: float | None = None  # guidance_scale; None: the pipeline's own default
    output_type: str = "pt"
    batch_size: int
    batch_count: int
    training: Training | None = None  # None: it generates

    @property
    def calls(self) -> int:
        """Calls of one round: all batches of generation; of training one optimizer step, be an epoch ever so long."""
        return self.batch_count if self.training is None else 1

    @property
    def nouns(self) -> Nouns:
        """What is timed of it, and what it makes, in words."""
        return GENERATION if self.training is None else TRAINING

    @property
    def images(self) -> int:
        """Images made in one round; of training, the examples of an optimizer step: the effective batch."""
        if self.training is not None:
            return self.batch_size * self.training.accumulation * self.training.processes
        return self.batch_size * self.batch_count

    @property
    def split(self) -> str:
        """Batch size x batch count, as in ``4x8``."""
        return f"{self.batch_size}x{self.batch_count}"

    @property
    def label(self) -> str:
        """The model as shown, with its kind of weights where the name alone does not tell it.

        Tiny models are random and all others trained unless the label says more: ``tiny-sd``, ``sd15-random``,
        ``my/folder``, ``app-own``. A folder called sd15-random is shown as ``sd15-random-trained``.
        """
        if self.model is None:
            return ""
        name = escape_name(self.model)
        plain = "random" if name.startswith("tiny-") else "trained"
        if self.weights == plain and not name.endswith(_WEIGHTS_SUFFIXES):
            return name
        return f"{name}-{self.weights}"

    @property
    def id(self) -> str:
        """``model-dtype-HxW[-fF]-sS[-variant][-gG][-oO][-wW]-bBxN``: non-default parts appear in this order.

        Of training ``model-dtype-HxW-lora16[...][-wW]-bBxN``, see :attr:`Training.id`.
        """
        return f"{self.group_id}-b{self.split}"

    @property
    def group_id(self) -> str:
        """The id without the split: the cases of one group form one curve over batch size."""
        how = f"s{self.steps}" if self.training is None else self.training.id
        parts = [self.dtype, f"{self.height}x{self.width}", how]
        if self.frames is not None:
            parts.insert(2, f"f{self.frames}")
        if self.model is not None:
            parts.insert(0, self.label)
        if self.variant != "eager":
            # The colon of attn:native is safe, and reads better than its code.
            parts.append(_PART_LIKE.sub(_percent, escape_name(self.variant)).replace("%3A", ":"))
        if self.guidance is not None:
            guidance = float(self.guidance) + 0.0  # -0.0 equals 0.0 and must be written like it
            parts.append(f"g{guidance!r}".removesuffix(".0"))
        if self.output_type != "pt":
            parts.append(f"o{self.output_type}")
        if self.weights_seed != 0:
            parts.append(f"w{self.weights_seed}")
        return "-".join(parts)

    @property
    def words(self) -> str:
        """What the cases of its group make, for who never saw an id: ``sd15, bf16, 512x512 pixels, 20 steps``."""
        random = "random weights" if self.model is not None and self.label.endswith("-random") else ""
        parts = [self.model or "", random, self.dtype, "" if self.variant == "eager" else self.variant]
        parts += [f"{self.width}x{self.height} pixels", "" if self.frames is None else f"{self.frames} frames"]
        parts += [f"{self.steps} step{'' if self.steps == 1 else 's'}" if self.training is None else "training"]
        return ", ".join(filter(None, parts))

    @property
    def pool_key(self) -> PoolKey:
        """What has to be loaded: cases with equal keys share one pipeline."""
        training = "" if self.training is None else self.training.pool_key(self.height, self.width)
        return (self.model or "", self.dtype, self.device, self.variant, self.weights_seed, training)


def loaded_once(test: str, case: Case) -> PoolKey | str:
    """Return what is loaded once for all cases that share it: the pipeline, or for a test with its own the test.

    Nobody knows what such a test loads.

    Args:
        test: the node id without the parameters of the grid.
        case: one of it.
    """
    return test if case.model is None else case.pool_key


def case_of_id(text: str, *, device: str) -> Case | None:
    """Return the case whose id *text* begins with, or None where it begins with none: the inverse of ``Case.id``.

    For the one process that sees only names: the controller of several workers.

    Args:
        text: an id, at most followed by ``-`` and parameters of a test's own.
        device: of the run; ids do not name it.
    """
    found = re.match(_ID, text)  # compiled when it is first used: most runs of pytest never do
    if found is None:
        return None
    label, variant, guidance = found["label"], found["variant"], found["guidance"]
    model, weights = _model_of(label) if label is not None else (None, "own")
    return Case(
        model=model,
        weights=weights,
        weights_seed=int(found["seed"] or 0),
        dtype=found["dtype"],
        device=device,
        variant="eager" if variant is None else _unescape(variant),
        height=int(found["height"]),
        width=int(found["width"]),
        frames=None if found["frames"] is None else int(found["frames"]),
        steps=int(found["steps"] or 1),
        guidance=None if guidance is None else float(guidance),
        output_type=found["output_type"] or "pt",
        batch_size=int(found["size"]),
        batch_count=int(found["count"]),
        training=training_of_id(found.groupdict()),
    )


def _model_of(label: str) -> tuple[str, str]:
    for suffix in _WEIGHTS_SUFFIXES:
        if label.endswith(suffix):
            return _unescape(label.removesuffix(suffix)), suffix[1:]
    return _unescape(label), "random" if label.startswith("tiny-") else "trained"
