"""Random weights: seeded, finite, of the asked dtype, filled by rule, and every family runs with them."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build, fill, make_component

TINY = [name for name in ARCHITECTURES if name.startswith("tiny-")]
VIDEO = [name for name in TINY if ARCHITECTURES[name].frames]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' Euler


@functools.cache
def built(name: str, dtype: str = "fp32") -> Any:
    """Return the pipeline of *name*, shared by the tests of this file, which leave it as it is."""
    return build(ARCHITECTURES[name], device="cpu", dtype=dtype, seed=0)


def made(pipeline: Any, size: int = 1, **arguments: Any) -> Any:
    """Return *size* images or videos of *pipeline*, two steps each, as a tensor."""
    import torch

    accepted = inspect.signature(type(pipeline).__call__).parameters
    call = {"height": 64, "width": 64, "num_inference_steps": 2, "output_type": "pt"}
    if "use_resolution_binning" in accepted:
        call["use_resolution_binning"] = False
    if "num_frames" in accepted:
        call["num_frames"] = 5
    prompts = ["a cat", "the dog of the image"][:size]
    result = pipeline(prompt=prompts, generator=torch.Generator().manual_seed(7), **(call | arguments))
    return result.frames if "num_frames" in accepted else result.images


def parameters(pipeline: Any) -> dict[str, Any]:
    """Return every parameter of *pipeline* by component and name."""
    return {
        f"{part}.{name}": parameter
        for part, module in modules(pipeline).items()
        for name, parameter in module.named_parameters()
    }


def modules(pipeline: Any) -> dict[str, Any]:
    """Return the components of *pipeline* that have weights, by name."""
    return {name: part for name, part in pipeline.components.items() if hasattr(part, "named_parameters")}


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", TINY)
def test_tiny_pipelines_run_at_batch_1_and_2(name: str, dtype: str) -> None:
    """A built pipeline makes as many finite, not constant images or videos as it is asked for."""
    for size in (1, 2):
        images = made(built(name, dtype), size)
        assert images.shape == ((size, 5, 3, 64, 64) if name in VIDEO else (size, 3, 64, 64))
        assert images.isfinite().all()
        assert images.flatten(1).std(dim=1).min() > 0.01


@pytest.mark.parametrize("name", TINY)
def test_the_factor_is_the_smallest_that_runs(name: str) -> None:
    """A resolution of any multiple of the factor runs; half a factor more is refused, fails, or is rounded."""
    factor = ARCHITECTURES[name].factor

    images = made(built(name), height=factor * 3, width=factor * 5)

    assert images.shape[-2:] == (factor * 3, factor * 5)
    try:
        other = made(built(name), height=64 + factor // 2, width=64)
    except (ValueError, RuntimeError):
        return
    assert other.shape[-2] != 64 + factor // 2


@pytest.mark.parametrize("name", VIDEO)
def test_the_frames_factor_is_the_smallest_that_runs(name: str) -> None:
    """A video has one frame more than any multiple of it; the pipeline rounds what lies between."""
    step = ARCHITECTURES[name].frames_factor
    lengths = [made(built(name), num_frames=count).shape[1] for count in (1, step, step + 1)]

    assert lengths[0] == 1
    assert lengths[1] != step
    assert lengths[2] == step + 1


@pytest.mark.parametrize("name", TINY)
def test_a_saved_pipeline_gives_the_same_images(name: str, tmp_path: Path) -> None:
    """What was built can be saved and loaded with diffusers alone, tokenizers and position tables included."""
    from diffusers import DiffusionPipeline

    built(name).save_pretrained(tmp_path)
    loaded = DiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)

    assert type(loaded) is type(built(name))
    # Where weights begin in memory, which is anywhere in a file, decides on some processors how a product is summed up.
    for module in filter(lambda part: hasattr(part, "state_dict"), loaded.components.values()):
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data = tensor.data.clone()
    assert made(loaded).equal(made(built(name)))


@pytest.mark.parametrize(
    ("name", "batch", "calls"),
    [
        ("tiny-sd", 4, 2),
        ("tiny-sdxl", 4, 2),
        ("tiny-sd3", 4, 2),
        ("tiny-pixart", 4, 2),
        ("tiny-flux", 2, 2),
        ("tiny-wan", 2, 4),
        ("tiny-qwen-image", 2, 2),
    ],
)
def test_how_each_family_does_guidance(name: str, batch: int, calls: int) -> None:
    """Two images, two steps: most double the denoiser's batch, Wan calls it twice a step, Flux takes it as input."""
    pipeline = built(name)
    seen: list[int] = []
    denoiser = getattr(pipeline, "transformer", None) or pipeline.unet

    def note(module: Any, args: Any, kwargs: Any) -> None:
        seen.append(len(args[0] if args else kwargs["hidden_states"]))

    handle = denoiser.register_forward_pre_hook(note, with_kwargs=True)
    try:
        made(pipeline, 2)
    finally:
        handle.remove()

    assert seen == [batch] * calls


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", TINY)
def test_position_tables_are_those_of_the_classes(name: str, dtype: str) -> None:
    """Buffers are part of the architecture: values and dtype are those of an instance made the usual way."""
    import diffusers
    import transformers

    tables = 0
    for part, component in ARCHITECTURES[name].components.items():
        if not component.parameters:
            continue
        if component.library == "transformers":
            cls = getattr(transformers, component.class_name)
            usual = cls(cls.config_class(**component.config))
        else:
            usual = getattr(diffusers, component.class_name)(**component.config)
        buffers = dict(getattr(built(name, dtype), part).named_buffers())
        expected = dict(usual.named_buffers())
        assert buffers.keys() == expected.keys()
        assert all(buffers[key].equal(expected[key]) for key in expected)
        assert {key: b.dtype for key, b in buffers.items()} == {key: b.dtype for key, b in expected.items()}
        tables += len(expected)
    assert tables > 0


def test_equal_seeds_give_equal_weights_and_others_differ() -> None:
    """The seed decides the values, whatever was drawn before."""
    first, again, other = (
        parameters(build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=seed)) for seed in (1, 1, 2)
    )

    assert all(first[name].equal(again[name]) for name in first)
    drawn = [name for name in first if first[name].ndim > 1]
    assert drawn
    assert not any(first[name].equal(other[name]) for name in drawn)


@pytest.mark.parametrize("name", TINY)
def test_no_time_is_spent_on_values_that_are_overwritten(name: str) -> None:
    """Neither library draws initial values, which would take a minute for a T5-XXL: the generator stands still."""
    import torch

    before = torch.get_rng_state()
    for component in ARCHITECTURES[name].components.values():
        if component.class_name in ("PixArtTransformer2DModel", "WanTransformer3DModel"):
            continue  # these draw a table of six rows with torch.randn, which cannot be told from a table that is used
        make_component(component, device="cpu", dtype="fp32")

    assert torch.get_rng_state().equal(before)


def test_values_follow_the_rule() -> None:
    """Norms are 1, biases 0, others have stdev min(0.02, 1/sqrt(fan_in)): what keeps outputs finite."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(400, 300), torch.nn.LayerNorm(300), torch.nn.Linear(10_000, 50))
    fill(model, seed=0, salt="test")

    assert model[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model[2].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert model[1].weight.eq(1).all()
    assert all(layer.bias.eq(0).all() for layer in model)


def test_norms_of_video_vaes_are_1_though_they_have_four_dimensions() -> None:
    """Drawn like a convolution they would make every picture the same grey."""
    gammas = [value for name, value in parameters(built("tiny-wan")).items() if name.endswith("gamma")]

    assert {value.ndim for value in gammas} >= {4}
    assert all(value.eq(1).all() for value in gammas)


@pytest.mark.parametrize("shape", [(1000, 1000), (3, 65_521), (65_522, 1), (300, 65_521 * 2 // 300 + 1)])
def test_rows_of_a_large_weight_differ(shape: tuple[int, int]) -> None:
    """Values repeat to save time, but no row of a weight is another one, and none is left as it was allocated."""
    import torch

    layer = torch.nn.Linear(shape[1], shape[0], bias=False)
    layer.weight.data.fill_(torch.nan)
    fill(layer, seed=0, salt="s")

    assert layer.weight.isfinite().all()
    if shape[1] not in (1, 65_521):  # a row of one value cannot help it, one of the length of what is drawn neither
        assert len(layer.weight.unique(dim=0)) == shape[0]


def test_a_parameter_does_not_depend_on_its_neighbours() -> None:
    """Adding a layer changes no other one's values, so the rule survives new versions of the classes."""
    import torch

    small = torch.nn.ModuleDict({"b": torch.nn.Linear(8, 8)})
    large = torch.nn.ModuleDict({"a": torch.nn.Linear(8, 8), "b": torch.nn.Linear(8, 8)})
    for model in (small, large):
        fill(model, seed=5, salt="s")

    assert small["b"].weight.equal(large["b"].weight)
    assert not large["a"].weight.equal(large["b"].weight)


def test_buffers_keep_their_values_and_dtype() -> None:
    """Filling draws parameters only."""
    import torch

    encoder = ARCHITECTURES["tiny-sd"].components["text_encoder"]
    module = make_component(encoder, device="cpu", dtype="bf16")
    fill(module, seed=0, salt="x")

    (buffer,) = dict(module.named_buffers()).values()
    assert buffer.equal(torch.arange(77)[None])


def test_parameters_have_the_asked_dtype_and_the_default_is_restored() -> None:
    """Half precision is allocated as such; what user code allocates afterwards is not touched."""
    import torch

    pipeline = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp16", seed=0)

    assert {p.dtype for p in parameters(pipeline).values()} == {torch.float16}
    assert torch.empty(1).dtype == torch.float32
    assert torch.nn.Linear(4, 4).weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "dtype", "kept"),
    [
        ("tiny-flux", "fp16", {"wo"}),
        ("tiny-flux", "bf16", set()),
        ("tiny-wan", "fp16", {"wo", "norm2", "time_embedder", "scale_shift_table"}),
        ("tiny-wan", "bf16", {"norm2", "time_embedder", "scale_shift_table"}),
        ("tiny-qwen-image", "fp16", set()),
    ],
)
def test_what_the_libraries_keep_in_fp32_is_kept_so(name: str, dtype: str, kept: set[str]) -> None:
    """A model loaded in half precision has these parts in fp32, which costs time and memory; so does a built one."""
    import torch

    full = {key for key, value in parameters(built(name, dtype)).items() if value.dtype == torch.float32}

    assert {word for key in full for word in key.split(".")} & {
        "wo",
        "norm2",
        "time_embedder",
        "scale_shift_table",
    } == kept
    assert all(kept.intersection(key.split(".")) for key in full)


@pytest.mark.parametrize("name", TINY)
def test_pipelines_are_ready_to_be_timed(name: str) -> None:
    """No dropout, which T5 is made with, no progress bar: nothing but the model is measured."""
    pipeline = built(name)

    assert not any(module.training for part in modules(pipeline).values() for module in part.modules())
    assert pipeline.progress_bar(total=1).disable


def test_nothing_looks_at_the_images_but_the_caller() -> None:
    """No safety checker and no watermark."""
    assert built("tiny-sd").safety_checker is None
    assert built("tiny-sdxl").watermark is None


def test_text_encoders_hold_their_embedding_once() -> None:
    """T5 has it under two names; two copies would be 0.5 GB of an XXL."""
    for name in ("tiny-flux", "tiny-wan"):
        encoder = getattr(built(name), "text_encoder_2", None) or built(name).text_encoder
        assert encoder.shared.weight is encoder.encoder.embed_tokens.weight
