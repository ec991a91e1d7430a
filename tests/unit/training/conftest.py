"""Images that are quick to learn from, and a task on them."""

from __future__ import annotations

import pytest
import torch

from pytest_sdbatch.training.datasets import LearningData, split_data
from pytest_sdbatch.training.task import DenoisingTask


@pytest.fixture(scope="session")
def blobs() -> LearningData:
    """60 grey images of 8x8 in three classes: a bright square at one of three places."""
    random = torch.Generator().manual_seed(0)
    images = 0.1 * torch.randn((60, 1, 8, 8), generator=random) - 0.8
    labels = torch.arange(60) % 3
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 2 * label : 2 * label + 3, 2 * label : 2 * label + 3] += 1.5
    return split_data("blobs", images, labels, class_names=("a", "b", "c"))


@pytest.fixture(scope="session")
def task(blobs: LearningData) -> DenoisingTask:
    """Learn the blobs."""
    torch.set_num_threads(1)
    return DenoisingTask(blobs)
