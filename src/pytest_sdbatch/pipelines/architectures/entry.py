"""What an entry of the catalog is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part of a pipeline: the class that makes it and its configuration."""

    library: str  # "diffusers" or "transformers"
    class_name: str
    config: Config
    parameters: int = 0  # 0 for parts without weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """What reads prompts; made in memory, see :mod:`pytest_sdbatch.pipelines.tokenizers`."""

    kind: Literal["clip", "t5", "qwen2"]
    vocabulary: int  # rows of the text encoder's embedding
    length: int  # longest prompt, in tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A pipeline that can be built by name, with random weights."""

    name: str
    what: str
    pipeline_class: str
    components: Mapping[str, Component]  # in the order in which they are built
    tokenizers: Mapping[str, Tokenizer]
    arguments: Config = field(default_factory=dict)  # of the pipeline's constructor, besides the components
    height: int  # native, in pixels
    width: int
    frames: int | None = None  # native length of a video; None for images
    frames_factor: int = 1  # frames must be 1 more than a multiple of it
    steps: int = 20
    guidance: float | None = None  # what the model is used with, where that is not the pipeline's own default
    factor: int = 8  # sides that are no multiple of it are refused, fail, or are rounded by the pipeline

    @property
    def parameters(self) -> int:
        """Parameters of all components."""
        return sum(component.parameters for component in self.components.values())
