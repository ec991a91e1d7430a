"""The digits, the split that all runs share, and parts of the data."""

from __future__ import annotations

import sys

import pytest
import torch

from pytest_sdbatch.errors import CannotRun, OptionError
from pytest_sdbatch.training.datasets import LearningData, digits, parts_of, split_data, subset


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
