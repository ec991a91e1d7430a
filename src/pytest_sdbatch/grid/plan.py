"""From options to cases: the grid of one test, checked against what is known of each model before it is loaded."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.axes import divisors
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.options import Options

DTYPES = ("fp32", "fp16", "bf16")
_MOST_IMAGES = 1_000_000_000  # the divisors of a larger number take longer to find than a typing error is worth
_DTYPE_WORDS = {"float32": "fp32", "float": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What the grid needs to know of a model before it is loaded."""

    name: str
    weights: str  # "random" or "trained"
    height: int  # native, in pixels
    width: int
    steps: int  # the usual number
    factor: int  # height and width must be multiples of it
    guidance: float | None = None  # what it is used with, where that is not its pipeline's own default
    parameters: int | None = None  # of all components; None where it is not known before loading
    frames: int | None = None  # of a video, the usual number; None: it makes images
    frames_factor: int = 1  # frames must be 1 more than a multiple of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What is used where an option was not given; it depends on the device."""

    device: str  # as torch names it: "cpu", "cuda:0"
    model: str
    dtype: str
    height: int  # for tests whose pipeline is their own
    width: int
    steps: int


class Catalog(Protocol):
    """What the grid asks of the pipelines."""

    def facts(self, name: str) -> ModelFacts:
        """Return what is known of the model *name*, or raise ModelError."""
        ...

    def canonical_variant(self, text: str) -> str:
        """Return *text* with its parts in canonical order, or raise OptionError."""
        ...

    def check_variant(self, variant: str, facts: ModelFacts) -> None:
        """Raise ModelError where *variant*, in canonical order, says nothing of that model on any machine."""
        ...


def plan(options: Options, catalog: Catalog, defaults: Defaults, *, with_model: bool) -> tuple[Case, ...]:
    """Return the cases of one test: models, dtypes, variants, resolutions, steps, then splits, in the order written.

    Args:
        options: in force for the test.
        catalog: knows models and variants.
        defaults: of the device.
        with_model: whether our fixture loads the model; otherwise ``models`` only names what the test brings.

    Raises:
        OptionError: for values that do not go together.
        ModelError: for a model that cannot be used.

    """
    models = models_of(options, catalog, defaults, with_model=with_model)
    splits = _splits(options)
    dtypes = dtypes_of(options) if _has(options, "dtypes") else (defaults.dtype,)
    variants = _variants(options, catalog)
    if with_model:
        for (_, facts), variant in itertools.product(models, variants):
            catalog.check_variant(variant, facts)
    frames = {name: _frames(options, facts) for name, facts in models}
    shapes = [(name, facts, resolutions_of(options, facts), _steps(options, facts)) for name, facts in models]
    cases_of_a_shape = len(dtypes) * len(variants) * sum(map(len, splits.values()))
    check_size(cases_of_a_shape * sum(len(pairs) * len(steps) for *_, pairs, steps in shapes), options)
    weights_seed = options.count("weights_seed")
    guidance = options.number("guidance") if _has(options, "guidance") else None  # None: as the model is used
    output_type = options.choice("output_type")
    return tuple(
        Case(
            model=name,
            weights=facts.weights,
            weights_seed=weights_seed,
            dtype=dtype,
            device=defaults.device,
            variant=variant,
            height=height,
            width=width,
            frames=frames[name],
            steps=steps,
            guidance=facts.guidance if guidance is None else guidance,
            output_type=output_type,
            batch_size=size,
            batch_count=count,
        )
        for name, facts, resolutions, numbers_of_steps in shapes
        for dtype, variant, (height, width), steps in itertools.product(dtypes, variants, resolutions, numbers_of_steps)
        for size, counts in splits.items()
        for count in counts
    )


def smallest(cases: Iterable[Case]) -> Case:
    """Return the case that costs least to run once."""

    def cost(case: Case) -> int:
        return case.images * case.steps * case.height * case.width * (case.frames or 1)

    return min(cases, key=lambda case: (cost(case), case.batch_size))


def _has(options: Options, name: str) -> bool:
    return options.text(name) is not None


def models_of(
    options: Options, catalog: Catalog, defaults: Defaults, *, with_model: bool
) -> list[tuple[str | None, ModelFacts]]:
    """Return the models of a test by name, with what is known of each."""
    if with_model:
        names = options.names("models") if _has(options, "models") else (defaults.model,)
        return [(name, catalog.facts(name)) for name in names]
    labels: tuple[str | None, ...] = options.names("models") if _has(options, "models") else (None,)
    own = ModelFacts(
        name="", weights="own", height=defaults.height, width=defaults.width, steps=defaults.steps, factor=1
    )
    return [(label, own) for label in labels]


def _splits(options: Options) -> dict[int, tuple[int, ...]]:
    """Return the batch counts of each batch size: those that ``images`` need, unless a stronger origin gave an axis."""
    axis_origin = max(options.origin("batch_sizes"), options.origin("batch_counts"))
    if not _has(options, "images") or axis_origin > options.origin("images"):
        return dict.fromkeys(options.integers("batch_sizes"), options.integers("batch_counts"))
    images, origin = options.count("images"), options.origin("images")
    if images > _MOST_IMAGES:
        raise OptionError(
            f"{options.spelled('images')}={images}: too many images to split", fix=f"give at most {_MOST_IMAGES}"
        )
    if options.origin("batch_counts") >= origin:
        raise OptionError(
            f"{options.spelled('images')}={images} and {options.spelled('batch_counts')} do not go together",
            why="the number of images and the batch size give the batch count",
            fix="leave one of them out",
        )
    fitting = divisors(images)
    sizes = fitting if options.origin("batch_sizes") < origin else options.integers("batch_sizes")
    if options.grows:
        sizes = tuple(size for size in sizes if size <= images)
    for size in sizes:
        if size > images:
            raise OptionError(
                f"{options.spelled('batch_sizes')}: {images} images do not fill a batch of {size}",
                fix=f"use sizes of at most {images}; those that leave no remainder are {','.join(map(str, fitting))}",
            )
    # The full calls are measured; the answer plans the remainder, which is a call of another size.
    return {size: (images // size,) for size in sizes}


def check_size(cases: int, options: Options) -> None:
    """Refuse a grid before it is built: a mistyped range can mean more cases than memory holds."""
    limit = options.count("max_cases")
    if cases > limit:
        raise OptionError(
            f"the grid has {cases:,} cases, more than {limit:,}",
            why="max_cases guards against a mistyped range",
            fix=f"make an axis shorter, or raise the limit: -o sd_max_cases={cases}",
        )


def resolutions_of(options: Options, facts: ModelFacts) -> tuple[tuple[int, int], ...]:
    """Return the sizes in pixels, each of which the model can make."""
    if not _has(options, "resolutions"):
        return ((facts.height, facts.width),)
    pairs = options.resolutions("resolutions")
    for height, width in pairs:
        if height % facts.factor or width % facts.factor:
            near = [max(round(side / facts.factor), 1) * facts.factor for side in (height, width)]
            raise OptionError(
                f"{options.spelled('resolutions')}: {facts.name} cannot make {height}x{width}",
                why=f"its height and width must be multiples of {facts.factor}",
                fix=f"use {near[0]}x{near[1]}",
            )
    return pairs


def _frames(options: Options, facts: ModelFacts) -> int | None:
    if not _has(options, "frames"):
        return facts.frames
    frames, spelled = options.count("frames"), options.spelled("frames")
    if not facts.name:  # the test's own pipeline, of which nothing is known
        return frames
    if facts.frames is None:
        raise OptionError(
            f"{spelled}: {facts.name} makes images, not videos",
            why="the number of frames means nothing to it",
            fix="leave it out, or give the video models a run of their own",
        )
    if (frames - 1) % facts.frames_factor:
        near = (frames - 1) // facts.frames_factor * facts.frames_factor + 1
        raise OptionError(
            f"{spelled}: {facts.name} cannot make {frames} frames",
            why=f"their number must be 1 more than a multiple of {facts.frames_factor}",
            fix=f"use {near} or {near + facts.frames_factor}",
        )
    return frames


def _steps(options: Options, facts: ModelFacts) -> tuple[int, ...]:
    return options.integers("steps") if _has(options, "steps") else (facts.steps,)


def dtypes_of(options: Options) -> tuple[str, ...]:
    """Return the dtypes, each one that there is."""
    names = options.names("dtypes")
    for name in names:
        if name not in DTYPES:
            meant = _dtype_meant(name)
            raise OptionError(
                f"{options.spelled('dtypes')}: unknown dtype {name!r}",
                fix=f"write {meant}" if meant else f"use {', '.join(DTYPES)}",
            )
    return names


def _dtype_meant(name: str) -> str | None:
    """Return the dtype that torch or a hurried user calls *name*."""
    word = name.lower().removeprefix("torch.")
    return word if word in DTYPES else _DTYPE_WORDS.get(word)


def _variants(options: Options, catalog: Catalog) -> tuple[str, ...]:
    names = options.names("variants")
    canonical: dict[str, str] = {}
    for name in names:
        dtype = _dtype_meant(name)
        if dtype is not None:
            raise OptionError(
                f"{options.spelled('variants')}: {name} is a dtype, not a variant",
                fix=f"use --sd-dtypes={dtype}",
            )
        form = catalog.canonical_variant(name)
        if form in canonical:
            raise OptionError(
                f"{options.spelled('variants')}: {name} and {canonical[form]} are the same variant",
                fix="leave one of them out",
            )
        canonical[form] = name
    return tuple(canonical)
