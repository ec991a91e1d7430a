"""What a ``.safetensors`` file says of its tensors, read without loading one."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from pytest_sdbatch.errors import ModelError

_LARGEST_HEADER = 100_000_000  # the limit of the format's own reader
_FLOATS = ("F", "BF")  # F64, F32, F16, F8_E4M3, BF16, ...: integers are tables of positions, no parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One entry of a header."""

    name: str
    dtype: str  # as the format writes it: F32, BF16, I64
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Number of values, 0 for a table of integers."""
        return math.prod(self.shape) if self.dtype.startswith(_FLOATS) else 0


def read_header(path: Path) -> tuple[Tensor, ...]:
    """Return the tensors of *path*.

    Raises:
        ModelError: for a file that cannot be read, is not in the format or is shorter than its header says.

    Source:
        https://github.com/huggingface/safetensors#format: 8 bytes of length, then JSON.

    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LARGEST_HEADER:
                raise ValueError(f"its header would be {length} bytes long")
            text = file.read(length)
        entries = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        missing = 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        missing -= path.stat().st_size
        if missing <= 0:
            return tuple(
                Tensor(name=name, dtype=entry["dtype"], shape=tuple(entry["shape"])) for name, entry in entries.items()
            )
        reason = f"its last {missing:,} bytes are missing, as after a download that was interrupted"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, struct.error, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it is not in the safetensors format ({error})"
    raise ModelError(f"cannot read {path}", why=reason, fix="fetch or save the file again")
