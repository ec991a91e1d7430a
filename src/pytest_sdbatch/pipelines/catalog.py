"""Every model that can be named: the architectures that ship, and what lies on disk or on the hub."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.plan import ModelFacts
from pytest_sdbatch.pipelines import pretrained, sources, variants
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES, Architecture
from pytest_sdbatch.pipelines.dtypes import DTYPE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One line of ``sdbatch models``."""

    name: str
    what: str
    parameters: int
    weight_bytes: Mapping[str, int]  # by dtype word
    height: int
    width: int


class ModelCatalog:
    """What the grid and the pool ask about models. Implements :class:`pytest_sdbatch.grid.plan.Catalog`."""

    def __init__(self, architectures: Mapping[str, Architecture] = ARCHITECTURES) -> None:
        self._architectures = architectures

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
            return ModelFacts(
                name=name,
                weights="random",
                height=entry.height,
                width=entry.width,
                steps=entry.steps,
                factor=entry.factor,
                parameters=entry.parameters,
            )
        if sources.parse(name) is None:
            near = difflib.get_close_matches(name, self._architectures, n=2, cutoff=0.5)
            raise ModelError(
                f"unknown model {name!r}",
                why="it is no name of the catalog, folder, .safetensors file or hub id",
                fix=(f"did you mean {' or '.join(near)}? " if near else "") + "see `sdbatch models`",
            )
        return pretrained.inspect(name)

    def canonical_variant(self, text: str) -> str:
        """Return *text* with its parts in canonical order, or raise OptionError."""
        return variants.canonical(text)

    def listing(self) -> tuple[ModelRow, ...]:
        """Return the models that can be built by name."""
        return tuple(
            ModelRow(
                name=entry.name,
                what=entry.what,
                parameters=entry.parameters,
                weight_bytes={word: entry.parameters * size for word, size in DTYPE_BYTES.items()},
                height=entry.height,
                width=entry.width,
            )
            for entry in self._architectures.values()
        )
