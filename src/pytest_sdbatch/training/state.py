"""The state of a run, to go on from: tensors and numbers in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import RunFileError

_KEY = "sdbatch"
SCHEMA = 1


def state_bytes(tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> bytes:
    """Return *tensors* as safetensors, with *numbers* as JSON in their header."""
    from safetensors.torch import save

    data: bytes = save(
        {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()},
        metadata={_KEY: json.dumps({"schema": SCHEMA, **numbers}, allow_nan=False)},
    )
    return data


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the tensors and the numbers of a state; None where there is none.

    Raises:
        RunFileError: for a file that is no state, or is of another version.

    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            numbers = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        if numbers.pop("schema") != SCHEMA:
            raise KeyError("schema")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFileError(
            f"{path} is no state of a run that this version can go on with",
            why=str(error),
            fix="remove it: that run begins anew, and what has ended is kept",
        ) from None
    return tensors, numbers
