"""Every model and variant that can be named: what ships, what a project adds, and what lies on disk or on the hub."""

from __future__ import annotations

import dataclasses
import difflib
import re
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_sdbatch.errors import ModelError, SdbatchError
from pytest_sdbatch.grid.plan import ModelFacts
from pytest_sdbatch.pipelines import build, pretrained, sources, variants
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES, Architecture
from pytest_sdbatch.pipelines.dtypes import DTYPE_BYTES, torch_dtype
from pytest_sdbatch.pipelines.variants import VARIANTS, Variant
from pytest_sdbatch.records import Weights

if TYPE_CHECKING:
    from pytest_sdbatch.devices.device import Device
    from pytest_sdbatch.grid.case import Case

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # no separator of an option, nothing that reads as a path or a hub id
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that a project adds by the hook ``pytest_sdbatch_models``."""

    name: str  # as given to --sd-models
    what: str  # in a few words, for `sdbatch models`
    load: Callable[[str, Any], Any]  # (device as torch names it, torch.dtype) -> a pipeline, on that device
    height: int  # native, in pixels
    width: int
    steps: int = 20
    factor: int = 8  # height and width must be multiples of it
    frames: int | None = None  # of a video; None: images
    frames_factor: int = 1  # frames must be 1 more than a multiple of it

    def __post_init__(self) -> None:
        """Refuse figures that no grid can be made of."""
        figures = {"height": self.height, "width": self.width, "steps": self.steps, "factor": self.factor}
        figures["frames_factor"] = self.frames_factor
        for field, value in (figures if self.frames is None else figures | {"frames": self.frames}).items():
            if type(value) is not int or value < 1:
                raise ModelError(f"model {self.name!r}: {field}={value!r}", fix="give a whole number of 1 or more")
        if self.height % self.factor or self.width % self.factor:
            raise ModelError(
                f"model {self.name!r}: {self.height}x{self.width} is its native size, but no multiple of {self.factor}",
                fix="correct height and width, or factor",
            )
        if self.frames is not None and (self.frames - 1) % self.frames_factor:
            raise ModelError(
                f"model {self.name!r}: {self.frames} frames are not 1 more than a multiple of {self.frames_factor}",
                fix="correct frames or frames_factor",
            )
        if not callable(self.load):
            raise ModelError(f"model {self.name!r}: load={self.load!r}", fix="give a callable: load(device, dtype)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One line of ``sdbatch models``."""

    name: str
    what: str
    parameters: int | None  # None: not known before it is loaded
    weight_bytes: Mapping[str, int]  # by dtype word
    height: int
    width: int


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...


_Added = TypeVar("_Added", bound=_Named)


def checked(given: Iterable[tuple[str, object]], kind: type[_Added], *, taken: Collection[str]) -> dict[str, _Added]:
    """Return what a project adds, by name.

    Args:
        given: the name of a plugin or conftest, and what its hook returned.
        kind: what a hook must return a list of: :class:`Model` or :class:`Variant`.
        taken: the names that ship.

    Raises:
        ModelError: for anything else, a name that cannot be an option's value, and a name that is taken.

    """
    noun = kind.__name__.lower()
    found: dict[str, _Added] = {}
    owners = dict.fromkeys(taken, "pytest-sdbatch itself")
    for plugin, items in given:
        hook = f"pytest_sdbatch_{noun}s in {plugin}"
        if not isinstance(items, Iterable) or isinstance(items, (str, bytes, Mapping)):
            raise ModelError(f"{hook} returned {_kind(items)}", fix=f"return a list of pytest_sdbatch.{kind.__name__}")
        for item in items:
            if not isinstance(item, kind):
                raise ModelError(f"{hook} gave {_kind(item)}", fix=f"list pytest_sdbatch.{kind.__name__} objects")
            for field, text in (("name", item.name), ("what", item.what)):
                if not isinstance(text, str):
                    raise ModelError(f"{hook} gave a {noun} with {field}={text!r}", fix="give text")
            if _NAME.fullmatch(item.name) is None or item.name.endswith(".safetensors"):
                raise ModelError(
                    f"{hook} gave a {noun} called {item.name!r}",
                    fix="use letters, digits, '-', '_' and '.', a letter or digit first",
                )
            if item.name in owners:
                raise ModelError(
                    f"two {noun}s are called {item.name!r}",
                    why=f"one is of {owners[item.name]}, one of {plugin}",
                    fix="rename one of them",
                )
            if isinstance(item, Variant) and not callable(item.apply):
                raise ModelError(
                    f"{hook} gave variant {item.name!r} with apply={item.apply!r}",
                    fix="give a callable: apply(pipeline)",
                )
            if isinstance(item, Variant) and (internal := _internal_fields(item)):
                raise ModelError(
                    f"{hook} gave variant {item.name!r} with {internal[0]}",
                    why="a project's variants are applied to a loaded pipeline and then timed like any other",
                    fix=f"give name, what and apply only; join with what ships: {item.name}+compile",
                )
            owners[item.name] = plugin
            found[item.name] = item
    return found


class ModelCatalog:
    """What the grid and the pool ask about models. Implements :class:`pytest_sdbatch.grid.plan.Catalog`.

    Args:
        architectures: what can be built with random weights.
        models: a project's own, by name.
        variants: a project's own, by name; canonical order puts them behind those that ship.

    """

    def __init__(
        self,
        architectures: Mapping[str, Architecture] = ARCHITECTURES,
        *,
        models: Mapping[str, Model] = _NONE,
        variants: Mapping[str, Variant] = _NONE,
    ) -> None:
        self._architectures = architectures
        self._models = models
        self._variants = variants

    def architecture(self, name: str) -> Architecture | None:
        """Return the architecture called *name*, or None for a model with weights of its own."""
        return self._architectures.get(name)

    def facts(self, name: str) -> ModelFacts:
        """Return what is known of the model *name* before it is loaded; imports neither torch nor diffusers.

        Raises:
            ModelError: for an unknown name, and for a model that must not be loaded.

        """
        entry = self.architecture(name)
        if entry is not None:
            return _facts(name, entry, weights="random", parameters=entry.parameters)
        if name in self._models:
            return _facts(name, self._models[name], weights="own", parameters=None)
        if sources.parse(name) is None:
            known = {known.lower(): known for known in (*self._architectures, *self._models)}
            near = [known[match] for match in difflib.get_close_matches(name.lower(), known, n=2, cutoff=0.5)]
            raise ModelError(
                f"unknown model {name!r}",
                why="it is no name of the catalog, folder, .safetensors file or hub id",
                fix=(f"did you mean {' or '.join(near)}? " if near else "") + "see `sdbatch models`",
            )
        return pretrained.inspect(name)

    def canonical_variant(self, text: str) -> str:
        """Return *text* with its parts in canonical order, or raise OptionError."""
        return variants.canonical(text, extra=self._variants)

    def check_variant(self, variant: str, facts: ModelFacts) -> None:
        """Raise ModelError where *variant*, in canonical order, says nothing of that model on any machine."""
        variants.check_weights(variant, weights=facts.weights)

    def prepare(self, name: str) -> None:
        """Look at *name* and import what loading it needs, as far as it is known: seconds that are no part of loading.

        Raises:
            ModelError: for a folder, file or hub id that cannot be loaded.

        """
        entry = self.architecture(name)
        if entry is not None:
            build.import_classes(entry)
        elif name in self._models:
            from diffusers import DiffusionPipeline  # noqa: F401
        else:
            pretrained.prepare(name)

    def load(self, case: Case, device: Device) -> tuple[Any, Weights]:
        """Return a new pipeline of *case*, without its variant, and where its weights came from.

        Raises:
            ModelError: where it cannot be loaded.

        What a project's loader raises when memory runs out is passed on as it is: *device* knows such errors.
        """
        name = case.model or ""
        entry = self.architecture(name)
        if entry is not None:
            pipeline = build.build(entry, device=case.device, dtype=case.dtype, seed=case.weights_seed)
            return pipeline, Weights(kind="random", seed=case.weights_seed, fill=build.FILL_RULE)
        if name in self._models:
            return _load_own(self._models[name], case, device), Weights(kind="own")
        return pretrained.load(name, device=case.device, dtype=case.dtype), Weights(kind="trained", source=name)

    def apply_variant(self, pipeline: Any, variant: str, device: Device) -> None:
        """Change *pipeline* in place to run as *variant*, a canonical text.

        Raises:
            ModelError: for a pipeline that lacks what the variant changes, or a project's variant that failed.

        """
        own = {row.name: dataclasses.replace(row, apply=_guarded(row, device)) for row in self._variants.values()}
        variants.apply(pipeline, variant, device=device.name, extra=own)

    def listing(self) -> tuple[ModelRow, ...]:
        """Return the models that can be named without a path: those that ship, then the project's."""
        shipped = [
            ModelRow(
                name=entry.name,
                what=entry.what,
                parameters=entry.parameters,
                weight_bytes={word: entry.parameters * size for word, size in DTYPE_BYTES.items()},
                height=entry.height,
                width=entry.width,
            )
            for entry in self._architectures.values()
        ]
        own = [
            ModelRow(
                name=model.name,
                what=model.what,
                parameters=None,
                weight_bytes=_NONE,
                height=model.height,
                width=model.width,
            )
            for model in self._models.values()
        ]
        return (*shipped, *own)

    def variant_listing(self) -> tuple[Variant, ...]:
        """Return the variants in canonical order, then the project's."""
        return (*VARIANTS.values(), *self._variants.values())


def told(error: Exception) -> str:
    """Return *error* in one line, with the last line of the user's own code that it passed through."""
    text = f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
    package = str(Path(__file__).parents[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not frame.filename.startswith((package, "<"))
    ]
    return text + (f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else "")


def _facts(name: str, model: Architecture | Model, *, weights: str, parameters: int | None) -> ModelFacts:
    return ModelFacts(
        name=name,
        weights=weights,
        height=model.height,
        width=model.width,
        steps=model.steps,
        factor=model.factor,
        parameters=parameters,
        frames=model.frames,
        frames_factor=model.frames_factor,
        guidance=getattr(model, "guidance", None),  # a project's loader sets its pipeline up itself
    )


def _load_own(model: Model, case: Case, device: Device) -> Any:
    try:
        pipeline = model.load(case.device, torch_dtype(case.dtype))
    except SdbatchError:
        raise
    except Exception as error:
        if device.is_out_of_memory(error):
            raise
        raise ModelError(
            f"model {model.name!r} cannot be loaded", why=told(error), fix="mend its load(device, dtype)"
        ) from error
    if not hasattr(pipeline, "components"):
        raise ModelError(
            f"model {model.name!r} cannot be used",
            why=f"its load(device, dtype) returned {_kind(pipeline)}",
            fix="return a diffusers pipeline; other code is measured by sd_benchmark(callable)",
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _guarded(variant: Variant, device: Device) -> Callable[[Any], None]:
    """Return the variant's ``apply``, whose errors say whose they are."""

    def apply(pipeline: Any) -> None:
        try:
            variant.apply(pipeline)
        except SdbatchError:
            raise
        except Exception as error:
            if device.is_out_of_memory(error):
                raise
            raise ModelError(
                f"variant {variant.name} cannot be applied to {type(pipeline).__name__}",
                why=told(error),
                fix=f"mend its apply(pipeline), or leave {variant.name} out for this model",
            ) from error

    return apply


def _internal_fields(variant: Variant) -> list[str]:
    """Return the fields with a value that only the variants that ship may have."""
    optional = [field for field in dataclasses.fields(variant) if field.name not in ("name", "what", "apply")]
    return [field.name for field in optional if getattr(variant, field.name) != field.default]


def _kind(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"
