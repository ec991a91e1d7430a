"""The digits, a user's own folder, the split that all runs share, and parts of the data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from pytest_sdbatch.errors import CannotRun, OptionError
from pytest_sdbatch.training.datasets import LearningData, digits, folder_data, parts_of, split_data, subset


def test_digits_are_split_the_same_way_every_time() -> None:
    """1438 to train on and 359 held out, 8x8 from -1 to 1, in ten classes, none of them missing."""
    pytest.importorskip("sklearn")
    data = digits()

    assert (data.train_count, len(data.held_out_images), data.side, data.channels) == (1438, 359, 8, 1)
    assert (float(data.images.min()), float(data.images.max())) == (-1.0, 1.0)
    assert set(data.labels.tolist()) == set(data.held_out_labels.tolist()) == set(range(10))
    assert torch.equal(data.images, digits().images)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)

    with pytest.raises(CannotRun, match="digits") as caught:
        digits()
    assert caught.value.fix == "pip install 'pytest-sdbatch[training]'"


def test_no_image_is_trained_on_and_held_out() -> None:
    """A fifth of the images is kept apart."""
    images = torch.arange(50.0).view(-1, 1, 1, 1)
    data = split_data("x", images, torch.zeros(50, dtype=torch.long), class_names=("a",))

    assert sorted([*data.images.flatten().tolist(), *data.held_out_images.flatten().tolist()]) == list(range(50))
    assert len(data.held_out_images) == 10


def test_parts_of_the_data(blobs: LearningData) -> None:
    """One class, a tenth of the images, and a class of which a tenth is left; what is held out of it stays."""
    one, small, rare = (subset(blobs, name) for name in ("one-class", "small", "rare"))

    assert set(one.labels.tolist()) == set(one.held_out_labels.tolist()) == {0}
    assert small.train_count == blobs.train_count // 10
    assert torch.equal(small.held_out_images, blobs.held_out_images)
    before, after = int((blobs.labels == 2).sum()), int((rare.labels == 2).sum())
    assert after == max(1, round(before / 10))
    assert rare.rare_class == 2
    assert torch.equal(rare.held_out_labels, blobs.held_out_labels)
    assert subset(blobs, "all") is blobs


def test_parts_that_are_not_there_are_refused(blobs: LearningData) -> None:
    """A name that is none, and classes that the data lack."""
    with pytest.raises(OptionError, match="no subset 'tiny'"):
        subset(blobs, "tiny")
    with pytest.raises(OptionError, match="no part of 3 classes"):
        subset(blobs, "three-classes")
    one = split_data("x", torch.zeros(20, 1, 8, 8), torch.zeros(20, dtype=torch.long), class_names=("a",))
    with pytest.raises(OptionError, match="no class to make rare"):
        subset(one, "rare")


def test_a_part_needs_images_on_both_sides(blobs: LearningData) -> None:
    """Of a class with two images nothing may be held out, and nothing judged."""
    assert parts_of(blobs) == ("one-class", "small", "rare")
    labels = torch.arange(40) // 2  # 20 classes of two images
    many = split_data("x", torch.zeros(40, 1, 8, 8), labels, class_names=tuple(map(str, range(20))))

    for name in parts_of(many):
        part = subset(many, name)
        assert part.train_count
        assert len(part.held_out_images)
        assert name != "rare" or int((part.held_out_labels == part.rare_class).sum())
    assert set(parts_of(many)) < {"one-class", "three-classes", "small", "rare"}


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
