"""The words for dtypes, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

DTYPE_BYTES: Mapping[str, int] = MappingProxyType({"fp32": 4, "fp16": 2, "bf16": 2})
_TORCH_NAMES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def torch_dtype(word: str) -> Any:
    """Return the ``torch.dtype`` of ``fp32``, ``fp16`` or ``bf16``.

    Raises:
        KeyError: for any other word; the grid has refused it before.

    """
    import torch

    return getattr(torch, _TORCH_NAMES[word])
