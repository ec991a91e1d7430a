"""The header of a safetensors file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.safetensors_header import read_header


def test_the_header_of_a_real_file_is_read(tmp_path: Path) -> None:
    """Names, dtypes and shapes are those that were saved; integer tables are no parameters."""
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    tensors = {
        "w": torch.zeros(3, 4, dtype=torch.bfloat16),
        "s": torch.zeros(()),
        "ids": torch.arange(7),
    }
    save_file(tensors, path, metadata={"format": "pt"})

    found = {tensor.name: (tensor.dtype, tensor.shape, tensor.parameters) for tensor in read_header(path)}

    assert found == {"w": ("BF16", (3, 4), 12), "s": ("F32", (), 1), "ids": ("I64", (7,), 0)}


def _with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}q\x00.",  # a pickle
        struct.pack("<Q", 2**60) + b"{}",
        _with_header(b"not json"),
        _with_header(b"[1]"),
        _with_header(json.dumps({"w": {"shape": [1]}}).encode()),
        _with_header(json.dumps({"w": 3}).encode()),
        _with_header(json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": []}}).encode()),
        _with_header(b"\xff\xfe"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    """A damaged, foreign or hostile file is an error that names it, whatever its first bytes claim."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=r"x\.safetensors"):
        read_header(path)


def test_a_file_that_ends_too_soon_is_refused(tmp_path: Path) -> None:
    """Half a download has a whole header; without this it would be found out when the case is loaded."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(_with_header(header) + bytes(12))
    assert [tensor.parameters for tensor in read_header(path)] == [3]

    path.write_bytes(_with_header(header) + bytes(5))
    with pytest.raises(ModelError, match=r"x\.safetensors") as error:
        read_header(path)

    assert "its last 7 bytes are missing" in error.value.why


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    with pytest.raises(ModelError) as error:
        read_header(tmp_path / "none.safetensors")

    assert "No such file" in error.value.why
