"""The architectures that ship with the package: pure data, in the words of diffusers and transformers.

Time and memory of a pipeline follow from its architecture, not from trained values, so an entry holds configurations
and no weights. The parameter counts stand here so that nothing needs torch to print them; a test derives them again.
"""

from __future__ import annotations

from pytest_sdbatch.pipelines.architectures.entry import Architecture, Component, Config, Tokenizer
from pytest_sdbatch.pipelines.architectures.table import ARCHITECTURES

__all__ = ["ARCHITECTURES", "Architecture", "Component", "Config", "Tokenizer"]
