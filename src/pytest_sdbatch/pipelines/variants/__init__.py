"""Variants: ways of running the same weights. A text such as ``channels-last+compile`` names what is done at once."""

from __future__ import annotations

from pytest_sdbatch.pipelines.variants.applying import apply, check, check_weights, is_compiled, load_device
from pytest_sdbatch.pipelines.variants.compiler import (
    COMPILE,
    compiled_graphs,
    private_compiler_cache,
    reset_compiler,
)
from pytest_sdbatch.pipelines.variants.entry import Variant
from pytest_sdbatch.pipelines.variants.table import EAGER, VARIANTS
from pytest_sdbatch.pipelines.variants.words import canonical

__all__ = [
    "COMPILE",
    "EAGER",
    "VARIANTS",
    "Variant",
    "apply",
    "canonical",
    "check",
    "check_weights",
    "compiled_graphs",
    "is_compiled",
    "load_device",
    "private_compiler_cache",
    "reset_compiler",
]
