"""What a network generates, and who judges it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_sdbatch.training import quality
from pytest_sdbatch.training.datasets import LearningData
from pytest_sdbatch.training.quality import Judge, generate
from pytest_sdbatch.training.task import DenoisingTask


def test_generated_images_are_those_of_the_network(task: DenoisingTask) -> None:
    """Equal networks make equal images, as many of each class, within the range of pixels."""
    network = task.network(0)
    images, labels = generate(task, network, 6)

    assert images.shape == (6, 1, 8, 8)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert -1 <= float(images.min()) <= float(images.max()) <= 1
    assert bool((images == generate(task, network, 6)[0]).all())


def test_images_are_generated_in_parts_as_they_are_at_once(
    task: DenoisingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large ones do not all go through the network at once."""
    network = task.network(0)
    whole, _ = generate(task, network, 6)
    monkeypatch.setattr(DenoisingTask, "largest_pass", 4)

    assert float((generate(task, network, 6)[0] - whole).abs().max()) < 1e-3


def test_the_judge_knows_real_images(task: DenoisingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is right on all that were held out, and has an opinion on what an untrained network makes."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr(quality, "IMAGES", 30)
    judge = Judge(task)

    assert judge.held_out_accuracy.value == 1.0
    found = judge.quality(task.network(0))
    assert found.accuracy.value is not None
    assert found.frechet.value is not None
    assert 0 <= found.accuracy.value < 0.9
    assert found.frechet.value > 1


def test_one_class_cannot_be_told_apart(blobs: LearningData) -> None:
    """The accuracy is unknown, and says why."""
    judge = Judge(DenoisingTask(replace(blobs, labels=blobs.labels * 0)))  # the only image of another was held out

    assert judge.held_out_accuracy.value is None
    assert judge.held_out_accuracy.reason == "the images to train on are of one class"
