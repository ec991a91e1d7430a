"""What a trained network generates, judged by a classifier that saw only real images, and by its pixels."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.analysis.frechet import frechet_distance
from pytest_sdbatch.analysis.learning_runs import Quality
from pytest_sdbatch.records import Reading
from pytest_sdbatch.training.task import TIMESTEPS, DenoisingTask, evaluating

IMAGES = 200
STEPS = 20
_SEED = 777  # of the noise that is denoised: the same for all networks
_SIDE = 8  # pixels to which larger images are averaged before their distance is taken


class Judge:
    """A classifier of its own, fitted once to the images of *task* that are trained on."""

    def __init__(self, task: DenoisingTask) -> None:
        self._task = task
        self._classifier: Any = None
        self.reason: str | None = None  # why there is none
        if len(task.data.labels.unique()) < 2:
            self.reason = "the images to train on are of one class"
            return
        try:
            from sklearn.svm import SVC
        except ImportError as error:
            self.reason = f"scikit-learn cannot be imported: {error}"
            return
        self._classifier = SVC(C=10.0).fit(_rows(task.data.images), task.data.labels.numpy())

    @property
    def held_out_accuracy(self) -> Reading:
        """Share of the held-out images that the classifier gets right: the most that a network can be told."""
        data = self._task.data
        return self._accuracy(data.held_out_images, data.held_out_labels)

    def quality(self, network: Any) -> Quality:
        """Return what is said of images that *network* makes, as many of each class."""
        images, labels = generate(self._task, network, IMAGES)
        real = self._task.data.held_out_images
        return Quality(
            accuracy=self._accuracy(images, labels),
            frechet=Reading(value=frechet_distance(_pixels(images), _pixels(real))),
            images=IMAGES,
        )

    def _accuracy(self, images: Any, labels: Any) -> Reading:
        if self._classifier is None:
            return Reading(reason=self.reason)
        return Reading(value=float(self._classifier.score(_rows(images), labels.numpy())))


def generate(task: DenoisingTask, network: Any, count: int) -> tuple[Any, Any]:
    """Return *count* images and the classes that were asked for, on the host: 20 steps of DDIM from fixed noise."""
    import torch

    side, channels = task.data.side, task.data.channels
    labels = torch.arange(count) % len(task.data.class_names)
    noise = torch.randn((count, channels, side, side), generator=torch.Generator().manual_seed(_SEED))
    parts = zip(noise.split(task.largest_pass), labels.split(task.largest_pass), strict=True)
    with evaluating(network):
        made = [_denoised(task, network, images.to(task.device), asked.to(task.device)) for images, asked in parts]
    return torch.cat(made), labels


def _denoised(task: DenoisingTask, network: Any, images: Any, asked: Any) -> Any:
    import torch

    places = torch.linspace(TIMESTEPS - 1, 0, STEPS).round().long().tolist()
    for at, place in enumerate(places):
        kept = task.alphas[place]
        after = task.alphas[places[at + 1]] if at + 1 < STEPS else torch.ones_like(kept)
        times = torch.full((len(images),), place, device=task.device)
        told = network(images, times, class_labels=asked, return_dict=False)[0]
        clean = ((images - (1 - kept).sqrt() * told) / kept.sqrt()).clamp(-1, 1)
        told = (images - kept.sqrt() * clean) / (1 - kept).sqrt()
        images = after.sqrt() * clean + (1 - after).sqrt() * told
    return images.cpu()


def _rows(images: Any) -> Any:
    return images.flatten(1).numpy()


def _pixels(images: Any) -> Any:
    import torch

    small = images if images.shape[-1] <= _SIDE else torch.nn.functional.adaptive_avg_pool2d(images, _SIDE)
    return _rows(small)
