"""The calls of one generation case: prompts, seeds and arguments are ready before the clock starts."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import ModelError, OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.anatomy import check_own, denoiser_name, describe, hide_progress, is_pipeline
from pytest_sdbatch.pipelines.inputs import pipeline_arguments
from pytest_sdbatch.pipelines.output import OutputVerdict, check_output
from pytest_sdbatch.records import COUNT_INSIDE, Fact

__all__ = [
    "DEFAULT_PROMPTS",
    "Batch",
    "GenerationWorkload",
    "denoiser_name",
    "describe",
    "is_pipeline",
    "pipeline_arguments",
    "prompts_digest",
    "read_prompts",
]

# Of different length and subject, so that a text encoder is not fed the same row again and again.
DEFAULT_PROMPTS: tuple[str, ...] = (
    "a photograph of an astronaut riding a horse on a beach at sunset",
    "a bowl of ripe lemons on a wooden table, oil painting, soft morning light",
    "portrait of an old fisherman with a grey beard, 85mm, shallow depth of field",
    "a small red house under the northern lights, long exposure",
    "isometric drawing of a greenhouse full of tropical plants, pastel colours",
    "a steam locomotive crossing a stone bridge in heavy snow, wide angle, dramatic sky",
    "macro shot of a dragonfly resting on a blade of grass with dew drops",
    "a busy street market in the rain at night, neon reflections, cinematic",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One call's worth of a case, as users' callables get it."""

    index: int  # of this call among the calls of a round, from 0
    size: int  # images to make together; videos where the case has frames
    count: int = 1  # batches of that size to make one after another: more than 1 only where the call does the counting
    prompts: list[str]  # one per image; a list, as pipelines of diffusers want them
    seeds: tuple[int, ...]  # one per image
    case: Case
    _generators: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def generators(self) -> list[Any]:
        """One fresh ``torch.Generator`` per image, seeded with its seed; a call uses them up."""
        if not self._generators:
            import torch

            # On the CPU wherever the model is: the same noise on every device.
            self._generators.extend(torch.Generator("cpu").manual_seed(seed) for seed in self.seeds)
        return self._generators

    def make_ready(self) -> None:
        """Make the generators before the clock starts.

        Not where nothing has imported torch yet, which takes a second: then they are made if a call asks for them.
        """
        if "torch" in sys.modules:
            _ = self.generators

    def call_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments with which pipelines of diffusers make images or videos of text."""
        arguments = {
            "prompt": list(self.prompts),  # who alters it alters no later round
            "height": self.case.height,
            "width": self.case.width,
            "num_inference_steps": self.case.steps,
            "output_type": self.case.output_type,
            "generator": self.generators,
        }
        if self.case.guidance is not None:
            arguments["guidance_scale"] = self.case.guidance
        if self.case.frames is not None:
            arguments["num_frames"] = self.case.frames
        return arguments


@dataclass(frozen=True, slots=True)
class GenerationWorkload:
    """The calls of *case* on *target*: a diffusers pipeline, or a callable that takes a :class:`Batch`.

    Image k of the whole job has seed ``seed + k`` and prompt ``k`` modulo their number, whatever the split.
    Implements :class:`pytest_sdbatch.measure.workload.Workload`.
    """

    target: Any
    case: Case
    prompts: Sequence[str] = DEFAULT_PROMPTS
    seed: int = 0
    count_inside: bool = False  # whether one call of *target* makes all batches of a round
    loaded: Any = None  # the pipeline that the plugin loaded for the test, which a callable may use

    @property
    def calls(self) -> int:
        """Calls of one round."""
        return 1 if self.count_inside else self.case.batch_count

    @property
    def pipeline(self) -> Any | None:
        """The pipeline whose components are timed and described; None: the target is all that is known."""
        return self.target if is_pipeline(self.target) else self.loaded

    @property
    def phases(self) -> tuple[str, ...]:
        """None of its own: the stages are the components of the pipeline."""
        return ()

    @property
    def keeps_warm(self) -> bool:
        """Whether a shape that ran once needs no warm-up in another case: a call leaves nothing behind."""
        return True

    @property
    def must_match(self) -> Mapping[str, Fact]:
        """What decides about the figures beside the case and the place."""
        inside: dict[str, Fact] = {COUNT_INSIDE: True} if self.count_inside else {}
        return {"seed": self.seed, "prompts": prompts_digest(self.prompts), **inside}

    @property
    def asked(self) -> Case:
        """The case as its calls are asked for it: all its images in one where the count is inside."""
        return replace(self.case, batch_size=self.case.images, batch_count=1) if self.count_inside else self.case

    @property
    def trained(self) -> None:
        """Nothing: it does not train."""
        return None

    def check(self) -> None:
        """Refuse a pipeline of the user's own that is not what the case says, and switch progress bars off."""
        if self.loaded is None and is_pipeline(self.target):
            check_own(self.target, self.case)
        if self.pipeline is not None:
            hide_progress(self.pipeline)

    def judge(self, outputs: Sequence[object]) -> OutputVerdict:
        """Look at the images that the calls of a round returned."""
        return check_output(outputs, self.asked)

    def agree(self, decided: bool) -> bool:
        """Return *decided*: nobody else takes part."""
        return decided

    def close(self) -> None:
        """Do nothing: what calls leave on the device belongs to the pipeline."""

    def prepare(self) -> list[Callable[[], object]]:
        """Return the calls of one round, in order; to be made anew for each round, outside the timed region.

        Raises:
            ModelError: for a target that cannot be called, a pipeline that asks for more than a batch holds, or one
                that is to count batches itself.

        """
        if self.count_inside and is_pipeline(self.target):
            raise ModelError(
                f"{type(self.target).__name__} with count_inside=True",
                why="a call of a diffusers pipeline makes one batch",
                fix="leave out count_inside: each batch is then a call",
            )
        if callable(self.target) and not is_pipeline(self.target):
            _check_takes_one(self.target)
        calls: list[Callable[[], object]] = []
        for index in range(self.calls):
            batch = self._batch(index)
            if is_pipeline(self.target):
                calls.append(functools.partial(_images, self.target, pipeline_arguments(self.target, batch)))
            elif callable(self.target):
                calls.append(functools.partial(self.target, batch))
            else:
                raise ModelError(
                    f"a {type(self.target).__name__} cannot be measured",
                    why="neither a diffusers pipeline nor a callable",
                    fix="give sd_pipeline, or a function of one argument: lambda batch: ...",
                )
        return calls

    def _batch(self, index: int) -> Batch:
        images = range(index * self.asked.batch_size, (index + 1) * self.asked.batch_size)
        seeds = tuple(self.seed + image for image in images)
        batch = Batch(
            index=index,
            size=self.case.batch_size,
            count=self.case.batch_count if self.count_inside else 1,
            prompts=[self.prompts[image % len(self.prompts)] for image in images],
            seeds=seeds,
            case=self.case,
        )
        batch.make_ready()
        return batch


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """Return the lines of a text file that are not blank.

    Raises:
        OptionError: for a file that is not there, is not UTF-8 text or has no such line.

    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionError(
            f"prompts: {str(path)!r} is not UTF-8 text",
            why=f"byte {error.start} cannot be read",
            fix="save the file as UTF-8",
        ) from None
    except OSError as error:
        raise OptionError(
            f"prompts: cannot read {str(path)!r}",
            why=error.strerror or type(error).__name__,
            fix="give a text file with one prompt a line",
        ) from None
    prompts = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not prompts:
        raise OptionError(f"prompts: {str(path)!r} holds no prompt", fix="write one prompt a line")
    return prompts


def prompts_digest(prompts: Sequence[str]) -> str:
    """Return eight hexadecimal digits that tell *prompts* from others, for records."""
    return hashlib.sha256("\n".join(prompts).encode()).hexdigest()[:8]


def _check_takes_one(target: Callable[..., object]) -> None:
    """Refuse a function that cannot be called with a batch: its own TypeError would not say what it is given."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # some of C have none
        return
    try:
        signature.bind(object())
    except TypeError as error:
        raise ModelError(
            f"{getattr(target, '__name__', type(target).__name__)}{signature} cannot be called with a batch",
            why=str(error),
            fix="give a function of one argument, which makes batch.size images: lambda batch: ...",
        ) from None


def _images(pipeline: Any, arguments: dict[str, Any]) -> object:
    try:
        result = pipeline(**arguments)
    except NameError as error:
        # diffusers imports some packages only where they are installed, and uses their names all the same.
        from diffusers.utils.import_utils import BACKENDS_MAPPING

        if error.name not in BACKENDS_MAPPING:
            raise
        raise ModelError(
            f"{type(pipeline).__name__} needs the package {error.name}", fix=f"pip install {error.name}"
        ) from error
    return getattr(result, "images", getattr(result, "frames", result))
