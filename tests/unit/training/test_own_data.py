"""A folder of a user's own images: read, or refused by the name of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.training.datasets import folder_data


def fill(folder: Path, count: int, *, size: tuple[int, int] = (8, 8), color: Sequence[int] = (9, 9, 9)) -> None:
    """Write so many images of one colour."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", size, tuple(color)).save(folder / f"{index:03}.png")


def test_folders_are_classes(tmp_path: Path) -> None:
    """Names in their order; grey images have one channel, values lie from -1 to 1."""
    fill(tmp_path / "data" / "dogs", 12, color=(255, 255, 255))
    fill(tmp_path / "data" / "cats", 13, color=(0, 0, 0))
    data = folder_data(tmp_path / "data")

    assert (data.name, data.class_names) == ("data", ("cats", "dogs"))
    assert (data.train_count, len(data.held_out_images), data.side, data.channels) == (20, 5, 8, 1)
    assert all(
        float(image.mean()) == (1.0 if label else -1.0) for image, label in zip(data.images, data.labels, strict=True)
    )


def test_colour_and_another_size(tmp_path: Path) -> None:
    """Colour has three channels; what is cropped and scaled may have been of any size."""
    fill(tmp_path, 20, size=(30, 20), color=(255, 0, 0))
    Image.new("RGB", (10, 40)).save(tmp_path / "tall.png")

    assert folder_data(tmp_path, side=16).images.shape[1:] == (3, 16, 16)


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    """So is one with fewer images than say anything; other files do not count."""
    with pytest.raises(OptionError, match="is no folder"):
        folder_data(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(OptionError, match="holds no image"):
        folder_data(tmp_path)
    fill(tmp_path, 3)
    with pytest.raises(OptionError, match="holds 3 images"):
        folder_data(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n\x00\x00"], ids=["empty", "text", "cut"])
def test_a_broken_image_is_named(tmp_path: Path, content: bytes) -> None:
    """Nothing is trained on the rest."""
    fill(tmp_path, 20)
    (tmp_path / "010-broken.png").write_bytes(content)

    with pytest.raises(OptionError, match=r"010-broken\.png cannot be read"):
        folder_data(tmp_path)


def test_mixed_sizes_are_refused_by_two_names(tmp_path: Path) -> None:
    """With the option that makes them one."""
    fill(tmp_path, 20)
    Image.new("RGB", (8, 12)).save(tmp_path / "x.png")

    with pytest.raises(OptionError, match=r"000\.png is 8x8, x\.png 8x12") as caught:
        folder_data(tmp_path)
    assert "--resolution" in caught.value.fix


def test_images_that_the_network_cannot_take_are_refused(tmp_path: Path) -> None:
    """Square ones, of a side that it can halve; told before the second image is read."""
    fill(tmp_path, 20, size=(10, 10))
    (tmp_path / "010-broken.png").write_bytes(b"")

    with pytest.raises(OptionError, match="10x10"):
        folder_data(tmp_path)
    with pytest.raises(OptionError, match="--resolution=10"):
        folder_data(tmp_path, side=10)
    with pytest.raises(OptionError, match=r"21 images of 8192x8192 take 15\.8 GiB"):
        folder_data(tmp_path, side=8192)
