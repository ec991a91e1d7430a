"""The noise scale of a network: known gradients, Adam's length, and refusals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_sdbatch.errors import SdbatchError, TooFewSamples
from pytest_sdbatch.training import noise_scale
from pytest_sdbatch.training.loop import Learner
from pytest_sdbatch.training.noise_scale import measure_noise_scale, read_noise, split_noise
from pytest_sdbatch.training.schedules import Stage
from pytest_sdbatch.training.task import DenoisingTask


def regression(*, noise: float, batches: int = 64, size: int = 8) -> tuple[torch.nn.Parameter, list[torch.Tensor]]:
    """Return a parameter at 0 and batches whose mean square loss has gradients of -2 (1 + noise)."""
    random = torch.Generator().manual_seed(0)
    return torch.nn.Parameter(torch.zeros(20)), [
        1 + noise * torch.randn((size, 20), generator=random) for _ in range(batches)
    ]


def test_a_user_s_own_loss_gives_its_noise_scale() -> None:
    """Gradients of mean 1 and variance 9 in each direction have a noise scale of 9; .grad stays untouched."""
    parameter, batches = regression(noise=3.0)
    found = measure_noise_scale(
        lambda batch: (batch - parameter).square().sum(1).mean(), [parameter], batches, batch_size=8
    )

    assert found.plain.size.estimate == pytest.approx(9, rel=0.15)
    assert (found.plain.size.low or 0) < 9 < (found.plain.size.high or 0)
    assert found.adam is None
    assert parameter.grad is None


def test_adam_s_length_weighs_directions_by_their_size() -> None:
    """Noise in a direction that Adam takes for large counts for less."""
    parameter, batches = regression(noise=1.0, batches=1024)
    scale = torch.cat([torch.full((10,), 10.0), torch.ones(10)])
    optimizer = torch.optim.Adam([parameter], lr=0.0)

    def loss(batch: torch.Tensor) -> torch.Tensor:
        return ((batch - parameter) * scale).sum(1).mean()

    def unequal(batch: torch.Tensor) -> torch.Tensor:
        noisy = (batch - 1) * torch.cat([torch.full((10,), 5.0), torch.zeros(10)])
        return ((1 + noisy) * parameter * scale).sum(1).mean()

    for _ in range(3):
        optimizer.zero_grad()
        loss(batches[0]).backward()
        optimizer.step()
    found = measure_noise_scale(unequal, [parameter], batches, batch_size=8, optimizer=optimizer)

    assert found.adam is not None
    # 10 noisy directions of variance 25: plain 100 x 250 / (100 x 10 + 10), in Adam's length 10 x 250 / (10 x 10 + 10).
    assert found.plain.size.estimate == pytest.approx(24.8, rel=0.1)
    assert found.adam.size.estimate == pytest.approx(22.7, rel=0.1)


def test_what_says_too_little_or_does_not_fit_is_refused() -> None:
    """Too few batches, no trained parameter, gradients that take too much memory, and NaN."""
    parameter, batches = regression(noise=1.0)

    def loss(batch: torch.Tensor) -> torch.Tensor:
        return (batch - parameter).square().sum(1).mean()

    with pytest.raises(TooFewSamples, match="15 batches"):
        measure_noise_scale(loss, [parameter], batches[:15], batch_size=8)
    with pytest.raises(SdbatchError, match="no parameter is trained"):
        measure_noise_scale(loss, [], batches, batch_size=8)
    with pytest.raises(SdbatchError, match="64 gradients of 20 parameters") as caught:
        measure_noise_scale(loss, [parameter], batches, batch_size=8, most_bytes=100)
    assert "LoRA" in caught.value.fix
    with pytest.raises(SdbatchError, match="not finite"):
        measure_noise_scale(lambda batch: loss(batch) * float("nan"), [parameter], batches, batch_size=8)


def test_gradients_that_do_not_fit_are_refused_before_all_batches_are_held() -> None:
    """A loader of a large data set is asked for one batch more than would fit, and none where nothing is trained."""
    parameter, batches = regression(noise=1.0)
    asked: list[int] = []

    def loader() -> Iterator[torch.Tensor]:
        for index, batch in enumerate(batches):
            asked.append(index)
            yield batch

    def loss(batch: torch.Tensor) -> torch.Tensor:
        return (batch - parameter).square().sum(1).mean()

    with pytest.raises(SdbatchError, match="6 or more gradients of 20 parameters"):
        measure_noise_scale(loss, [parameter], loader(), batch_size=8, most_bytes=4 * 20 * 5)
    assert len(asked) == 6
    with pytest.raises(SdbatchError, match="no parameter is trained"):
        measure_noise_scale(loss, [], loader(), batch_size=8)
    assert len(asked) == 6


def test_gradients_are_held_once(task: DenoisingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of them is read in place, or of one more at a time: ``most_bytes`` is all that they take."""
    network = task.network(0)
    made: list[tuple[int, ...]] = []
    empty, products = torch.empty, noise_scale._products
    read: list[int] = []

    def counted(size: tuple[int, ...], **options: Any) -> torch.Tensor:
        made.append(tuple(size))
        return empty(size, **options)

    def seen(rows: torch.Tensor) -> Any:
        read.append(rows.data_ptr())
        return products(rows)

    monkeypatch.setattr(torch, "empty", counted)
    monkeypatch.setattr(noise_scale, "_products", seen)
    split_noise(task, network, seed=1)
    assert len([size for size in made if len(size) == 2]) == 1, "one matrix for all three draws of the noise"

    parameter, batches = regression(noise=1.0)
    optimizer = torch.optim.Adam([parameter], lr=0.0)
    parameter.grad = torch.ones(20)
    optimizer.step()
    read.clear()

    def loss(batch: torch.Tensor) -> torch.Tensor:
        return (batch - parameter).square().sum(1).mean()

    measure_noise_scale(loss, [parameter], batches, batch_size=8, optimizer=optimizer)
    assert len(read) == 2
    assert len(set(read)) == 1, "in Adam's length as in the plain one"


def test_gradients_that_are_no_numbers_cannot_be_split(task: DenoisingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is one of ours, as where the noise scale is read."""
    network, loss = task.network(0), DenoisingTask.loss
    monkeypatch.setattr(DenoisingTask, "loss", lambda *given: loss(*given) * float("nan"))

    with pytest.raises(SdbatchError, match="not finite"):
        split_noise(task, network, seed=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda loss: loss.item(), "is a float"),
        (lambda loss: loss.detach(), "a tensor without a gradient"),
        (lambda loss: loss.expand(8), "a tensor of 8 values"),
        (lambda loss: {"loss": loss}, "is a dict"),
    ],
)
def test_a_loss_that_has_no_gradient_is_told(wrong: Callable[[torch.Tensor], object], said: str) -> None:
    """Instead of what torch says of it."""
    parameter, batches = regression(noise=1.0)

    with pytest.raises(SdbatchError, match=said):
        measure_noise_scale(
            lambda batch: wrong((batch - parameter).square().mean()), [parameter], batches, batch_size=8
        )


@pytest.mark.parametrize("dress", [lambda batch: batch, lambda batch: (batch, 1), lambda batch: {"pixels": batch}])
def test_a_batch_of_another_size_is_told(dress: Callable[[torch.Tensor], object]) -> None:
    """The last batch of an epoch is smaller where the images do not divide evenly."""
    parameter, batches = regression(noise=1.0)
    batches[-1] = batches[-1][:3]

    with pytest.raises(SdbatchError, match="batch 64 of 64 has 3 examples, and batch_size is 8") as caught:
        measure_noise_scale(lambda batch: parameter.sum(), [parameter], map(dress, batches), batch_size=8)
    assert "drop_last" in caught.value.fix


def test_the_noise_of_the_task_is_read_and_split(task: DenoisingTask) -> None:
    """After some steps, in both lengths; the parts of the variance add up, and most of it is the drawn noise's."""
    learner = Learner(task, seed=0)
    learner.advance(Stage(batch_size=16, batch_count=None, rate=4e-3, until_examples=160))
    evaluation = learner.evaluate(None)
    reading = read_noise(task, learner.network, learner.optimizer, evaluation, seed=1)
    split = split_noise(task, learner.network, seed=1)

    assert (reading.examples, reading.plain.examples) == (160, 256)
    assert reading.plain.size.low is not None
    assert reading.adam is not None
    parts = [split.image.estimate, split.timestep.estimate, split.noise.estimate]
    assert sum(part or 0 for part in parts) == pytest.approx(1)
    again = read_noise(task, learner.network, learner.optimizer, evaluation, seed=1)
    assert again.plain == reading.plain, "equal seeds read alike"


def test_the_code_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The code of docs/explanation/training.md, with a model, a loss and batches as a reader's."""
    page = Path(__file__).parents[3] / "docs" / "explanation" / "training.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    model = torch.nn.Linear(20, 1, bias=False)
    random = torch.Generator().manual_seed(0)

    def my_loss(model: torch.nn.Linear, batch: torch.Tensor) -> torch.Tensor:
        return (model(batch) - 1).square().mean()

    theirs: dict[str, Any] = {
        "model": model,
        "my_loss": my_loss,
        "my_batches": [1 + torch.randn((8, 20), generator=random) for _ in range(32)],
        "my_adamw": torch.optim.AdamW(model.parameters()),
    }
    my_loss(model, theirs["my_batches"][0]).backward()
    theirs["my_adamw"].step()
    exec(compile(code, str(page), "exec"), theirs)

    assert theirs["found"].adam is not None
    assert theirs["found"].plain.size.estimate > 0
    assert capsys.readouterr().out.strip() == str(theirs["found"].plain.size)
