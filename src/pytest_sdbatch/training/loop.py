"""The loop that learns: steps, clocks around them, an evaluation now and then, and a state to go on from."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.analysis.learning_runs import Clock
from pytest_sdbatch.records import Reading
from pytest_sdbatch.training.sampler import Sampler
from pytest_sdbatch.training.schedules import Schedule, Stage, Stop
from pytest_sdbatch.training.task import DenoisingTask

BETAS = (0.9, 0.999)
WEIGHT_DECAY = 0.01
KEEP_EVERY_S = 10.0  # between two states on the disk

Keep = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
Watch = Callable[["Learner", Evaluation], None]
Energy: TypeAlias = Callable[[], Reading] | None


def clock_of(device: Any) -> Clock:
    """Return by which clock steps are timed on the torch *device*.

    On a CPU by the process's own, which others on the machine do not touch; but that of several threads is their sum,
    and a GPU has none.
    """
    import torch

    return Clock.CPU if device.type == "cpu" and torch.get_num_threads() == 1 else Clock.WALL


class Learner:
    """A network in training, with all that its next step depends on.

    Args:
        task: what is learned.
        seed: of weights, order, timesteps and noise.
        energy: reads the energy counter of the device, millijoules; None: nobody asks.

    """

    def __init__(self, task: DenoisingTask, *, seed: int, energy: Energy = None) -> None:
        import torch

        self.task = task
        self.network = task.network(seed)
        self.parameters = list(self.network.parameters())
        # Fused: of a network that small the update would else take a sixth of a step at batch size 16.
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True)
        self.random = torch.Generator().manual_seed(seed)
        self.sampler = Sampler(task.data.train_count, self.random)
        self.evaluations: list[Evaluation] = []
        self.steps, self.examples, self.seconds, self.wall_s = 0, 0, 0.0, 0.0
        self.joules = Reading(reason="it was not read") if energy is None else Reading(value=0.0)
        self._energy = energy
        self._clock = time.process_time if clock_of(task.device) is Clock.CPU else time.perf_counter

    def advance(self, stage: Stage) -> Stop | None:
        """Make the steps of *stage*, timed as a whole; return that the loss was no number, where it was none."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = stage.rate
        size = stage.batch_size
        epoch = None if stage.batch_count is None else stage.batch_count * size
        losses: list[Any] = []
        self._wait()
        counted = None if self._energy is None else self._energy()
        begun, wall = self._clock(), time.perf_counter()
        while self.examples < stage.until_examples:
            triples = self.task.draw(self.sampler.take(size, epoch_examples=epoch), self.random)
            loss = self.task.loss(self.network, triples)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
            self.steps += 1
            self.examples += size
        self._wait()
        self.seconds += self._clock() - begun
        self.wall_s += time.perf_counter() - wall
        self._count_energy(counted)
        finite = torch.isfinite(torch.stack(losses)).tolist() if losses else []
        if all(finite):
            return None
        step = self.steps - len(finite) + finite.index(False) + 1
        return Stop(
            end=End.DIVERGED, reason=f"the loss was no finite number at step {step:,}; learning rate {stage.rate:.3g}"
        )

    def step_by_phase(self, batch_size: int, ended: Callable[[str], None]) -> None:
        """Make one step, and say behind each of its phases that it has ended."""
        triples = self.task.draw(self.sampler.take(batch_size, epoch_examples=None), self.random)
        loss = self.task.loss(self.network, triples)
        ended("forward")
        self.optimizer.zero_grad()
        loss.backward()
        ended("backward")
        self.optimizer.step()
        ended("optimizer")

    def _count_energy(self, before: Reading | None) -> None:
        """Add what the device used since *before*; where one reading is missing the sum is not known."""
        so_far = self.joules.value
        if before is None or self._energy is None or so_far is None:
            return
        after = self._energy()
        if before.value is None or after.value is None:
            self.joules = Reading(reason=before.reason or after.reason or "the device does not tell")
        else:
            self.joules = Reading(value=so_far + (after.value - before.value) / 1000)

    def evaluate(self, stage: Stage | None) -> Evaluation:
        """Judge the network; the seconds of that are not the run's."""
        losses = self.task.judge(self.network)
        found = Evaluation(
            steps=self.steps,
            examples=self.examples,
            seconds=self.seconds,
            wall_s=self.wall_s,
            held_out_loss=losses.held_out,
            train_loss=losses.train,
            bands=losses.bands,
            rare_loss=losses.rare,
            batch_size=None if stage is None else stage.batch_size,
            batch_count=None if stage is None else stage.batch_count,
        )
        self.evaluations.append(found)
        return found

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the tensors and the numbers that :meth:`restore` takes."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, parameter in enumerate(self.parameters):
            for name, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{index}.{name}"] = value
        tensors["random"] = self.random.get_state()
        if self.sampler.order is not None:
            tensors["order"] = self.sampler.order
        numbers = {name: getattr(self, name) for name in ("steps", "examples", "seconds", "wall_s")}
        return tensors, {
            **numbers,
            "place": self.sampler.place,
            "joules": [self.joules.value, self.joules.reason],
            "evaluations": [dataclasses.asdict(evaluation) for evaluation in self.evaluations],
        }

    def restore(self, tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        """Go back to where :meth:`state` was asked."""
        head = "network."
        self.network.load_state_dict(
            {name.removeprefix(head): value for name, value in tensors.items() if name.startswith(head)}
        )
        for index, parameter in enumerate(self.parameters):
            head = f"optimizer.{index}."
            own = {name.removeprefix(head): value for name, value in tensors.items() if name.startswith(head)}
            self.optimizer.state[parameter] = {name: value.to(self.task.device) for name, value in own.items()}
        self.random.set_state(tensors["random"])
        self.sampler.order, self.sampler.place = tensors.get("order"), int(numbers["place"])
        self.steps, self.examples = int(numbers["steps"]), int(numbers["examples"])
        self.seconds, self.wall_s = float(numbers["seconds"]), float(numbers["wall_s"])
        value, reason = numbers.get("joules", (None, "it was not read"))
        self.joules = Reading(value=value, reason=reason)
        self.evaluations = [Evaluation(**{**found, "bands": tuple(found["bands"])}) for found in numbers["evaluations"]]

    def _wait(self) -> None:
        if self.task.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.task.device)


def train(learner: Learner, schedule: Schedule, *, keep: Keep | None = None, watch: Watch | None = None) -> Stop:
    """Let *learner* follow *schedule* to its end, and return how it ended.

    Args:
        learner: new, or restored.
        schedule: asked after each evaluation.
        keep: given a state every ten seconds, after an evaluation.
        watch: given each evaluation, that before any step too; the seconds it takes are not the run's.

    """
    if not learner.evaluations:
        first = learner.evaluate(None)
        if watch is not None:
            watch(learner, first)
    kept = time.monotonic()
    while True:
        stage = schedule.after(learner.evaluations)
        if isinstance(stage, Stop):
            return stage
        stop = learner.advance(stage)
        if stop is not None:
            return stop
        found = learner.evaluate(stage)
        if not math.isfinite(found.held_out_loss + found.train_loss):
            learner.evaluations.pop()
            return Stop(
                end=End.DIVERGED,
                reason=f"the loss of fixed triples was no finite number at step {found.steps:,}; "
                f"learning rate {stage.rate:.3g}",
            )
        if watch is not None:
            watch(learner, found)
        if keep is not None and time.monotonic() - kept >= KEEP_EVERY_S:
            keep(*learner.state())
            kept = time.monotonic()
