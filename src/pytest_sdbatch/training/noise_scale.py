"""The gradient noise scale of a network on its data: of the study's, or of anything that has a loss."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sdbatch.analysis.learning_curve import Evaluation
from pytest_sdbatch.analysis.learning_runs import NoiseReading
from pytest_sdbatch.analysis.noise_scale import FEWEST_EXAMPLES, NoiseScale, NoiseSplit, noise_scale, noise_split
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.training.task import DenoisingTask

BATCHES = 16  # of the study's, 16 examples each: 32 of 8 take twice as long, for limits that are a tenth nearer
MOST_BYTES = 8 * 2**30
CHECKPOINTS = 6  # of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredNoise:
    """The noise scale in plain length, and in that of Adam."""

    plain: NoiseScale
    adam: NoiseScale | None  # None: no optimizer of Adam's kind was given, or it has made no step


def measure_noise_scale(
    loss: Callable[[Any], Any],
    parameters: Iterable[Any],
    batches: Iterable[Any],
    *,
    batch_size: int,
    optimizer: Any = None,
    most_bytes: int = MOST_BYTES,
) -> MeasuredNoise:
    """Return the gradient noise scale of a frozen network, on batches of its user's own data.

    It is a first guess at the critical batch size, good to a factor of 2 to 5, and says nothing about a learning rate.
    Neither the parameters nor their ``.grad`` are touched.

    Args:
        loss: of a batch, the mean over its examples; draws timesteps and noise anew each time.
        parameters: those that are trained; fp32, or the gradients of small batches may overflow.
        batches: 16 or more, of 256 examples in all or more, each drawn at random.
        batch_size: examples in each of *batches*.
        optimizer: Adam or AdamW that has trained *parameters*: the noise scale is also taken in its measure.
        most_bytes: that the gradients, kept side by side, may take; all else is of the length of one of them.

    Raises:
        TooFewSamples: for fewer batches or examples.
        SdbatchError: for gradients that do not fit, or are not finite, a loss that has none, and batches of a size
            that is not *batch_size*.

    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    drawn = _held(batches, trained, most_bytes)
    _check_sizes(drawn, batch_size)
    rows = _gradients(loss, trained, drawn)
    weights = _adam_weights(optimizer, trained)
    with _told():
        plain = noise_scale(_products(rows), batch_size=batch_size)
        adam = None
        if weights is not None:
            rows *= weights  # in place: a second matrix would be as large
            adam = noise_scale(_products(rows), batch_size=batch_size)
    return MeasuredNoise(plain=plain, adam=adam)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Let what is wrong with products of gradients be an error of ours."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, SdbatchError):
            raise
        raise SdbatchError(f"no noise scale: {error}") from None


def checkpoints(images: int) -> Sequence[int]:
    """Return the examples at which gradients are read: none, then from a fifth of the images to four times as many."""
    first = max(1, images // 5)
    steps = CHECKPOINTS - 2
    return [0, *(round(first * 20 ** (step / steps)) for step in range(steps + 1))]


def read_noise(
    task: DenoisingTask,
    network: Any,
    optimizer: Any,
    evaluation: Evaluation,
    *,
    seed: int,
    data: str = "all",
) -> NoiseReading:
    """Return the noise scale of the study's *network* at an *evaluation*, on examples of *task* drawn with *seed*."""
    import torch

    random = torch.Generator().manual_seed(seed)
    size = FEWEST_EXAMPLES // BATCHES
    start = time.process_time()
    batches = [_random_batch(task, size, random) for _ in range(BATCHES)]
    found = measure_noise_scale(
        lambda triples: task.loss(network, triples),
        network.parameters(),
        batches,
        batch_size=size,
        optimizer=optimizer,
    )
    return NoiseReading(
        examples=evaluation.examples,
        held_out_loss=evaluation.held_out_loss,
        data=data,
        plain=found.plain,
        adam=found.adam,
        cpu_s=time.process_time() - start,
    )


def split_noise(task: DenoisingTask, network: Any, *, seed: int) -> NoiseSplit:
    """Return which part of the variance of a gradient is the image's, the timestep's and the drawn noise's.

    Raises:
        SdbatchError: for gradients that do not fit, or are not finite.

    """
    import torch

    random = torch.Generator().manual_seed(seed)
    size = FEWEST_EXAMPLES // BATCHES
    base = [_random_batch(task, size, random) for _ in range(BATCHES)]
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]

    def loss(triples: Any) -> Any:
        return task.loss(network, triples)

    gradients = _gradients(loss, parameters, _held(base, parameters, MOST_BYTES))

    def with_own(batches: Iterable[Any]) -> Any:
        """Return the product of each gradient with that of the batch in its place: one more at a time is kept."""
        row = torch.empty_like(gradients[0])
        products = []
        for own, triples in zip(gradients, batches, strict=True):
            _write_gradient(loss, parameters, triples, row)
            products.append((own * row).sum())
        return torch.stack(products).double().cpu().numpy()

    renoised = with_own([task.redraw(triples, random, timesteps=False) for triples in base])
    redrawn = with_own([task.redraw(triples, random, timesteps=True) for triples in base])
    with _told():
        return noise_split(_products(gradients), batch_size=size, same_image_and_timestep=renoised, same_image=redrawn)


def _random_batch(task: DenoisingTask, size: int, random: Any) -> Any:
    import torch

    return task.draw(torch.randint(0, task.data.train_count, (size,), generator=random), random)


def _held(batches: Iterable[Any], parameters: Sequence[Any], most_bytes: int) -> Sequence[Any]:
    """Return *batches*; gradients that would not fit are refused before all of them are held."""
    length = sum(parameter.numel() for parameter in parameters)
    if not length:
        raise SdbatchError("no noise scale: no parameter is trained", why="none of them has requires_grad set")
    most = most_bytes // (4 * length)
    held = batches if isinstance(batches, Sequence) else list(itertools.islice(batches, most + 1))
    if len(held) > most:
        needed = 4 * length * len(held)
        count = f"{len(held)}{'' if held is batches else ' or more'}"
        raise SdbatchError(
            f"no noise scale: {count} gradients of {length:,} parameters take {needed / 2**30:.1f} GiB",
            why=f"they are kept side by side, and {most_bytes / 2**30:.1f} GiB is the most that was allowed",
            fix="train fewer parameters (LoRA), or pass most_bytes where there is room",
        )
    return held


def _check_sizes(batches: Sequence[Any], batch_size: int) -> None:
    """Refuse batches of another size, where it can be seen: the noise scale would be wrong by as much."""
    for number, batch in enumerate(batches, start=1):
        part = next(iter(batch.values()), None) if isinstance(batch, Mapping) else batch
        part = part[0] if isinstance(part, (tuple, list)) and part else part
        shape = tuple(getattr(part, "shape", ()))
        if shape and shape[0] != batch_size:
            raise SdbatchError(
                f"no noise scale: batch {number} of {len(batches)} has {shape[0]} examples, and batch_size is "
                f"{batch_size}",
                why="each of them counts as one of that size",
                fix="give the size that they have; a DataLoader leaves out the rest of an epoch by drop_last=True",
            )


def _gradients(loss: Callable[[Any], Any], parameters: Sequence[Any], batches: Sequence[Any]) -> Any:
    """Return the gradient of each batch as a row."""
    import torch

    length = sum(parameter.numel() for parameter in parameters)
    rows = torch.empty((len(batches), length), device=parameters[0].device)
    for row, batch in zip(rows, batches, strict=True):
        _write_gradient(loss, parameters, batch, row)
    return rows


def _write_gradient(loss: Callable[[Any], Any], parameters: Sequence[Any], batch: Any, row: Any) -> None:
    import torch

    found = torch.autograd.grad(_scalar(loss(batch)), parameters, allow_unused=True)
    torch.cat(
        [
            (torch.zeros_like(parameter) if part is None else part).detach().float().flatten()
            for part, parameter in zip(found, parameters, strict=True)
        ],
        out=row,
    )


def _scalar(loss: Any) -> Any:
    """Refuse what has no gradient, and what is no mean over a batch."""
    import torch

    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
        what = f"a {type(loss).__name__}"
        if isinstance(loss, torch.Tensor):
            what = f"a tensor of {loss.numel()} values" if loss.numel() != 1 else "a tensor without a gradient"
        raise SdbatchError(
            f"no noise scale: the loss is {what}",
            why="it is to be one number, the mean over a batch, that the parameters were used for",
            fix="return loss.mean(), and neither .item() nor under torch.no_grad()",
        )
    return loss


def _products(rows: Any) -> Any:
    """Return the inner products of *rows*, summed in double precision, as an array."""
    import torch

    total = torch.zeros((len(rows), len(rows)), dtype=torch.float64, device=rows.device)
    for part in rows.split(2**16, dim=1):
        wide = part.double()
        total += wide @ wide.T
    return total.cpu().numpy()


def _adam_weights(optimizer: Any, parameters: Sequence[Any]) -> Any:
    """Return what a gradient is multiplied by to be measured in Adam's length: the root of 1 / (sqrt(v) + eps)."""
    import torch

    if optimizer is None:
        return None
    weights = []
    groups = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    for parameter in parameters:
        state = optimizer.state.get(parameter, {})
        if "exp_avg_sq" not in state or parameter not in groups:
            return None
        group = groups[parameter]
        corrected = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
        weights.append((corrected.sqrt() + group["eps"]).rsqrt().float().flatten())
    return torch.cat(weights)
