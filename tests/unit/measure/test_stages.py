"""Stages on a virtual clock: seconds are booked once, and every component becomes what it was."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.stages import StageClock, timed_class
from pytest_sdbatch.measure.stopping import Rules


class Net(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """A network that takes *seconds* of the device."""

    def __init__(self, device: FakeDevice, seconds: float) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.submit = device.submit
        self.seconds = seconds

    def forward(self, sample: torch.Tensor, timestep: int = 0) -> torch.Tensor:
        """Return the sample."""
        self.submit(self.seconds)
        return sample


class Pure(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """A network that can be compiled: it touches no clock."""

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        """Return twice the sample."""
        return sample * 2


class Vae(Net):
    """Encodes in half and decodes in all of its seconds."""

    def encode(self, sample: torch.Tensor) -> torch.Tensor:
        """Return the sample."""
        self.submit(self.seconds / 2)
        return sample

    def decode(self, sample: torch.Tensor, *, return_dict: bool = True) -> torch.Tensor:
        """Return the sample."""
        self.submit(self.seconds)
        return sample

    def forward(self, sample: torch.Tensor, timestep: int = 0) -> torch.Tensor:
        """Encode and decode."""
        return self.decode(self.encode(sample))


class Scheduler:
    """Counts its steps."""

    def __init__(self, submit: Callable[[float], None]) -> None:
        self.submit = submit
        self.steps = 0

    def set_timesteps(self, steps: int) -> None:
        """Do nothing."""
        del steps

    def step(self, output: torch.Tensor, timestep: int, sample: torch.Tensor, eta: float = 0.0) -> torch.Tensor:
        """Return the output."""
        self.steps += 1
        self.submit(0.125)
        return output


class Pipeline:
    """The shape of a text-to-image pipeline: encode, two steps under guidance, decode."""

    def __init__(self, device: FakeDevice) -> None:
        self.text_encoder = Net(device, 0.5)
        self.unet = Net(device, 1.0)
        self.scheduler = Scheduler(device.submit)
        self.vae = Vae(device, 2.0)
        self.image_encoder = Net(device, 64.0)  # not used by this call
        self.safety_checker = None
        self.tokenizer = SimpleNamespace(decode=str, encode=str)

    def __call__(self, batch: int, *, output_type: str = "pt") -> torch.Tensor:
        """Make *batch* images."""
        sample = self.text_encoder(torch.zeros(batch, 4))
        for step in range(2):
            guided = torch.cat([sample, sample])
            sample = self.scheduler.step(self.unet(guided, step), step, sample)[:batch]
        return sample if output_type == "latent" else self.vae.decode(sample)


@pytest.fixture
def device() -> FakeDevice:
    """Return a device that moves only when told."""
    return FakeDevice()


@pytest.fixture
def pipeline(device: FakeDevice) -> Pipeline:
    """Return a pipeline on it."""
    return Pipeline(device)


TRUE_SECONDS = {"text_encoder": 0.5, "denoiser": 2.0, "scheduler": 0.25, "vae_decode": 2.0}


def test_each_stage_gets_its_seconds(pipeline: Pipeline, device: FakeDevice) -> None:
    """Stages are summed over calls, in the order of their first; what did not run and need not is absent."""
    with StageClock(pipeline, device) as clock:
        pipeline(3)
        split = clock.read()

    assert split.seconds == TRUE_SECONDS
    assert list(split.seconds or {}) == ["text_encoder", "denoiser", "scheduler", "vae_decode"]
    assert split.reason is None


def test_stages_of_an_asynchronous_device_are_read_after_synchronizing() -> None:
    """Marks are taken in the device's time: queued work is booked on the stage that queued it."""
    device = FakeDevice(asynchronous=True)
    pipeline = Pipeline(device)
    with StageClock(pipeline, device) as clock:
        pipeline(1)
        device.synchronize()

        assert clock.read().seconds == TRUE_SECONDS


def test_the_denoisers_batch_and_calls_are_read_from_its_input(pipeline: Pipeline, device: FakeDevice) -> None:
    """Guidance doubles the batch; a timestep in front of it is not the batch."""
    with StageClock(pipeline, device) as clock:
        readings = [(clock.denoiser_batch, clock.denoiser_calls)]
        pipeline(3)
        readings.append((clock.denoiser_batch, clock.denoiser_calls))
        clock.clear()
        pipeline.unet(timestep=torch.zeros(5), sample=torch.zeros(7, 2))
        readings.append((clock.denoiser_batch, clock.denoiser_calls))

    assert readings == [(None, 0), (6, 2), (7, 1)]


def test_clearing_forgets_earlier_calls(pipeline: Pipeline, device: FakeDevice) -> None:
    """Two rounds do not add up."""
    with StageClock(pipeline, device) as clock:
        pipeline(1)
        clock.clear()
        pipeline(1)

        assert clock.read().seconds == TRUE_SECONDS


def test_a_call_inside_a_timed_call_is_counted_once(pipeline: Pipeline, device: FakeDevice) -> None:
    """A network that calls another component keeps all of the seconds."""
    pipeline.text_encoder.register_forward_hook(lambda *_: pipeline.vae.decode(torch.zeros(1)))
    with StageClock(pipeline, device) as clock:
        pipeline(1)

        assert clock.read().seconds == {**TRUE_SECONDS, "text_encoder": 2.5}


def test_forward_of_a_vae_is_its_two_stages(pipeline: Pipeline, device: FakeDevice) -> None:
    """Encoding and decoding are timed however they are reached, once each."""
    with StageClock(pipeline, device) as clock:
        pipeline(1)
        clock.clear()
        pipeline.vae(torch.zeros(1, 4))
        pipeline(1)
        seconds = clock.read().seconds or {}

    assert (seconds["vae_encode"], seconds["vae_decode"]) == (1.0, 4.0)


def test_a_stage_that_saw_no_call_makes_the_split_unknown(pipeline: Pipeline, device: FakeDevice) -> None:
    """A denoiser that is called behind our back gives no split, rather than a zero; the reason names it."""
    with StageClock(pipeline, device) as clock:
        pipeline.unet = pipeline.unet.forward  # type: ignore[assignment]
        pipeline(1)
        split = clock.read()

    assert split.seconds is None
    assert split.reason == "no call of denoiser was seen"


def test_latent_output_needs_no_decoder(pipeline: Pipeline, device: FakeDevice) -> None:
    """With output type latent a split without vae_decode is whole; with another it is not."""
    for output_type, complete in (("latent", True), ("pt", False)):
        with StageClock(pipeline, device, output_type=output_type) as clock:
            pipeline(1, output_type="latent")

            assert (clock.read().seconds is not None) is complete


def test_an_object_without_networks_has_no_split(device: FakeDevice) -> None:
    """Nothing to time is a reason too."""
    with StageClock(SimpleNamespace(scale=8), device) as clock:
        assert clock.read().seconds is None
        assert clock.read().reason


def test_components_are_what_they_were_after_detaching(pipeline: Pipeline, device: FakeDevice) -> None:
    """Classes and attributes are restored, also after an error inside a stage."""
    before = {name: (type(part), dict(vars(part))) for name, part in vars(pipeline).items() if part is not None}
    pipeline.text_encoder.submit = fail
    with pytest.raises(MemoryError), StageClock(pipeline, device):
        pipeline(1)
    pipeline.text_encoder.submit = device.submit

    assert {name: (type(part), dict(vars(part))) for name, part in vars(pipeline).items() if part is not None} == before


def test_timing_goes_on_after_an_error_in_a_stage(pipeline: Pipeline, device: FakeDevice) -> None:
    """An error leaves no stage open."""
    with StageClock(pipeline, device) as clock:
        pipeline.text_encoder.submit = fail
        with pytest.raises(MemoryError):
            pipeline(1)
        pipeline.text_encoder.submit = device.submit
        clock.clear()
        pipeline(1)

        assert clock.read().seconds == TRUE_SECONDS


def fail(seconds: float) -> None:
    """Run out of memory."""
    raise MemoryError(seconds)


def test_a_component_that_left_the_pipeline_is_restored_too(pipeline: Pipeline, device: FakeDevice) -> None:
    """What was attached is detached, whatever the pipeline holds by then."""
    gone = pipeline.unet
    with StageClock(pipeline, device):
        pipeline.unet = Net(device, 1.0)

    assert type(gone) is Net
    assert vars(gone).keys() == vars(pipeline.unet).keys()


def test_a_timed_component_is_still_of_its_class(pipeline: Pipeline, device: FakeDevice) -> None:
    """isinstance, names, state and the signature of step are those of the original."""
    state = pipeline.unet.state_dict()
    with StageClock(pipeline, device):
        cls = type(pipeline.unet)
        assert isinstance(pipeline.unet, Net)
        assert (cls.__name__, cls.__qualname__, cls.__module__) == (Net.__name__, Net.__qualname__, Net.__module__)
        assert pipeline.unet.state_dict().keys() == state.keys()
        assert "eta" in inspect.signature(pipeline.scheduler.step).parameters
        assert "self" not in inspect.signature(pipeline.vae.decode).parameters


def test_attaching_twice_gives_the_same_class(pipeline: Pipeline, device: FakeDevice) -> None:
    """Code compiled for the timed class stays valid the next time."""
    with StageClock(pipeline, device):
        first = type(pipeline.unet)
    with StageClock(Pipeline(device), device), StageClock(pipeline, device):
        assert type(pipeline.unet) is first is timed_class(Net, ("__call__",))


def test_a_copied_scheduler_steps_itself(pipeline: Pipeline, device: FakeDevice) -> None:
    """Pipelines for sound and video copy their scheduler: the copy counts its own steps, and is timed."""
    with StageClock(pipeline, device) as clock:
        pipeline(1)
        clock.clear()
        other = copy.deepcopy(pipeline.scheduler)
        other.submit = device.submit
        other.step(torch.zeros(1), 0, torch.zeros(1))
        assert clock._spans[0][0] == "scheduler"
    other.step(torch.zeros(1), 0, torch.zeros(1))

    assert (pipeline.scheduler.steps, other.steps) == (2, 4)


def test_an_own_attribute_is_timed_and_put_back(pipeline: Pipeline, device: FakeDevice) -> None:
    """A decode that was replaced on the instance, as by torch.compile, hides the class's; it is timed in its place."""
    plain = pipeline.vae.decode

    def compiled(sample: torch.Tensor) -> torch.Tensor:
        return plain(sample)

    pipeline.vae.decode = compiled  # type: ignore[method-assign, assignment]
    with StageClock(pipeline, device) as clock:
        pipeline(1)
        seconds = clock.read().seconds

    assert seconds == TRUE_SECONDS
    assert vars(pipeline.vae)["decode"] is compiled


def test_two_names_of_one_component_are_one_stage(pipeline: Pipeline, device: FakeDevice) -> None:
    """A component that appears twice is timed under its first name and not missed under the second."""
    pipeline.text_encoder_2 = pipeline.text_encoder  # type: ignore[attr-defined]
    with StageClock(pipeline, device) as clock:
        pipeline(1)

        assert clock.read().seconds == TRUE_SECONDS


def test_two_clocks_on_one_component_are_refused(pipeline: Pipeline, device: FakeDevice) -> None:
    """The second attaches to nothing, and the first goes on."""
    other = Pipeline(device)
    other.vae = pipeline.vae
    with StageClock(pipeline, device) as clock:
        with pytest.raises(SdbatchError, match="already timed"):
            StageClock(other, device).attach()
        assert type(other.unet) is Net
        pipeline(1)
        assert clock.read().seconds == TRUE_SECONDS


def test_the_loop_reports_stages_by_round(pipeline: Pipeline, device: FakeDevice) -> None:
    """Each round holds the seconds of its own calls; the warm-up is in none of them."""
    work = SimpleNamespace(prepare=lambda: [lambda: pipeline(2)] * 3)
    with StageClock(pipeline, device) as clock:
        result = measure(work, device, Rules(rounds=3), stages=clock)

    expected = {stage: 3 * seconds for stage, seconds in TRUE_SECONDS.items()}
    assert [reading.stage_s for reading in result.rounds] == [expected] * 3
    assert result.stages is None
    assert (result.denoiser_batch, result.denoiser_calls) == (4, 2)


def test_the_loop_passes_on_why_there_is_no_split(pipeline: Pipeline, device: FakeDevice) -> None:
    """A stage that is not called through its component is named in the measurement."""
    work: Any = SimpleNamespace(prepare=lambda: [lambda: pipeline(2, output_type="latent")])
    with StageClock(pipeline, device) as clock:
        result = measure(work, device, Rules(rounds=3), stages=clock)

    assert result.rounds[0].stage_s is None
    assert result.stages == "no call of vae_decode was seen"


def test_compiled_modules_are_timed_without_a_second_graph(device: FakeDevice) -> None:
    """module.compile() and torch.compile() keep their graph through attaching, detaching and attaching again."""
    counters = torch._dynamo.utils.counters
    for compile_it in (compile_in_place, torch.compile):
        torch.compiler.reset()
        counters.clear()
        holder = SimpleNamespace(unet=compile_it(Pure(), backend="eager"))
        for _ in range(2):
            with StageClock(holder, device) as clock:
                holder.unet(torch.zeros(4, 2))
                holder.unet(torch.zeros(4, 2))

                assert (clock.denoiser_calls, clock.denoiser_batch) == (2, 4)
        assert counters["stats"]["unique_graphs"] == 1
        assert isinstance(holder.unet, torch.nn.Module)


def compile_in_place(module: torch.nn.Module, *, backend: str) -> torch.nn.Module:
    """Compile *module* the way that keeps its class."""
    module.compile(backend=backend)
    return module
