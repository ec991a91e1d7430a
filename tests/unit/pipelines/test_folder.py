"""Folders, judged by their JSON: each is made by hand, so that nothing heavy is imported."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.plan import ModelFacts
from pytest_sdbatch.pipelines import pretrained

Write = Callable[..., Path]


def safetensors(shape: tuple[int, ...] = (10, 2), dtype: str = "F16") -> bytes:
    """Return a file whose header claims one tensor; nothing reads further."""
    header = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a folder like Stable Diffusion's, changed by file name."""

    def write(**changes: object) -> Path:
        files: dict[str, object] = {
            "model_index.json": {
                "_class_name": "StableDiffusionPipeline",
                "_diffusers_version": "0.38.0",
                "requires_safety_checker": True,
                "feature_extractor": [None, None],
                "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
                "scheduler": ["diffusers", "PNDMScheduler"],
                "tokenizer": ["transformers", "CLIPTokenizer"],
                "unet": ["diffusers", "UNet2DConditionModel"],
                "vae": ["diffusers", "AutoencoderKL"],
            },
            "scheduler/scheduler_config.json": {},
            "tokenizer/tokenizer_config.json": {},
            "safety_checker/config.json": {},
            "safety_checker/model.safetensors": safetensors((5,)),
            "unet/config.json": {"sample_size": 64},
            "unet/diffusion_pytorch_model.safetensors": safetensors(),
            "vae/config.json": {"block_out_channels": [1, 2, 3, 4]},
            "vae/diffusion_pytorch_model.safetensors": safetensors(),
        }
        files.update(changes.pop("files", {}))  # type: ignore[call-overload]
        index = files["model_index.json"]
        if isinstance(index, dict):
            index.update(changes)
        for name, content in files.items():
            if content is None:
                continue
            path = tmp_path / "m" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            path.write_bytes(data)
        return tmp_path / "m"

    return write


def refused(folder: Path) -> ModelError:
    """Return the error with which *folder* is refused."""
    with pytest.raises(ModelError) as caught:
        pretrained.inspect(str(folder))
    return caught.value


def test_a_sound_folder_is_described_by_its_json(write: Write) -> None:
    """Size, factor and parameters come from the configurations and the headers of the weights."""
    folder = write()

    assert pretrained.inspect(str(folder)) == ModelFacts(
        name=str(folder), weights="trained", height=512, width=512, steps=20, factor=8, parameters=45
    )


@pytest.mark.parametrize(
    ("config", "height", "width"),
    [({"sample_size": [64, 96]}, 512, 768), ({"sample_size": 96}, 768, 768), ({}, 1024, 1024)],
)
def test_the_native_resolution_is_the_sample_size_times_the_scale_of_the_vae(
    write: Write, config: dict[str, Any], height: int, width: int
) -> None:
    """A sample size may be one number, two, or diffusers' default."""
    facts = pretrained.inspect(str(write(files={"unet/config.json": config})))

    assert (facts.height, facts.width) == (height, width)


@pytest.mark.parametrize(
    ("config", "factor"), [({"patch_size": 2}, 16), ({"patch_size": 1}, 16), ({"patch_size": [1, 4, 4]}, 32)]
)
def test_a_transformer_needs_whole_patches(write: Write, config: dict[str, Any], factor: int) -> None:
    """Latents are cut into patches of 2x2 or more, on top of the VAE's scale."""
    folder = write(
        unet=[None, None],
        transformer=["diffusers", "SD3Transformer2DModel"],
        files={
            "transformer/config.json": {"sample_size": 128, **config},
            "transformer/diffusion_pytorch_model.safetensors": safetensors(),
        },
    )

    assert pretrained.inspect(str(folder)).factor == factor


def test_a_pipeline_in_pixels_has_its_unets_own_factor(write: Write) -> None:
    """Without a VAE the sample size is in pixels, and every level of the UNet halves it."""
    folder = write(
        vae=[None, None],
        unet=["diffusers", "UNet2DModel"],
        files={"unet/config.json": {"sample_size": 32, "block_out_channels": [1, 2, 3]}},
    )

    facts = pretrained.inspect(str(folder))

    assert (facts.height, facts.factor) == (32, 4)


def test_weights_in_several_files_are_counted_once(write: Write) -> None:
    """Sharded weights are found by their index; variants beside them are not counted."""
    folder = write(
        files={
            "unet/diffusion_pytorch_model.safetensors": None,
            "unet/diffusion_pytorch_model.safetensors.index.json": {
                "weight_map": {"a": "s1.safetensors", "b": "s1.safetensors", "c": "s2.safetensors"}
            },
            "unet/s1.safetensors": safetensors((100,)),
            "unet/s2.safetensors": safetensors((200,)),
            "unet/diffusion_pytorch_model.fp16.safetensors": safetensors((300,)),
        }
    )

    assert pretrained.inspect(str(folder)).parameters == 300 + 25


def test_a_folder_that_is_no_pipeline_says_what_is_in_it(tmp_path: Path) -> None:
    """The reader sees at once that the path was wrong."""
    (tmp_path / "notes.txt").touch()

    error = refused(tmp_path)

    assert "no diffusers pipeline" in error.what
    assert "notes.txt" in error.why


@pytest.mark.parametrize("pickle", ["diffusion_pytorch_model.bin", "model.ckpt", "weights.pt"])
def test_a_component_with_pickles_only_is_refused(write: Write, pickle: str) -> None:
    """The error names the component and the command that converts the pipeline."""
    error = refused(write(files={"vae/diffusion_pytorch_model.safetensors": None, f"vae/{pickle}": b"\x80"}))

    assert "vae" in error.why
    assert pickle in error.why
    assert "save_pretrained" in error.fix
    assert "use_safetensors" not in error.fix  # other components may have theirs as safetensors only


def test_weights_as_a_variant_only_are_refused(write: Write) -> None:
    """What from_pretrained would not find is told before it looks, with the variant's name."""
    files = {
        "unet/diffusion_pytorch_model.safetensors": None,
        "unet/diffusion_pytorch_model.fp16.safetensors": safetensors(),
    }

    assert "variant='fp16'" in refused(write(files=files)).fix


def test_a_pickle_beside_safetensors_is_not_read(write: Write) -> None:
    """Many repositories hold both."""
    folder = write(files={"unet/diffusion_pytorch_model.bin": b"\x80"})

    assert pretrained.inspect(str(folder)).parameters == 45


@pytest.mark.parametrize(
    "changes",
    [
        {"_class_name": ["my_pipeline", "MyPipeline"]},
        {"unet": ["my_module", "MyUNet"]},
        {"unet": ["os", "system"]},
        {"files": {"unet/diffusers.py": b""}},
        {"files": {"safety_checker/config.json": {"auto_map": {"AutoModel": "x.Y"}}}},
        {"files": {"tokenizer/tokenizer_config.json": {"auto_map": {"AutoTokenizer": "x.Y"}}}},
    ],
)
def test_a_folder_with_code_of_its_own_is_refused(write: Write, changes: dict[str, Any]) -> None:
    """Nothing outside diffusers and transformers is ever imported for a model."""
    assert "code of its own" in refused(write(**changes)).what


@pytest.mark.parametrize(
    ("changes", "file"),
    [
        ({"files": {"model_index.json": b"{"}}, "model_index.json"),
        ({"files": {"model_index.json": b"[]"}}, "model_index.json"),
        ({"files": {"model_index.json": b"\xff"}}, "model_index.json"),
        ({"_class_name": None}, "model_index.json"),
        ({"../unet": ["diffusers", "UNet2DConditionModel"]}, "model_index.json"),
        ({"files": {"unet/config.json": b"{]"}}, "unet/config.json"),
        ({"files": {"unet/config.json": None}}, "unet/config.json"),
        ({"files": {"unet/config.json": {"sample_size": "large"}}}, "unet/config.json"),
        ({"files": {"unet/config.json": {"sample_size": [1]}}}, "unet/config.json"),
        ({"files": {"vae/config.json": b"null"}}, "vae/config.json"),
    ],
)
def test_damaged_json_names_its_file(write: Write, changes: dict[str, Any], file: str) -> None:
    """Whatever is wrong inside, the reader learns where."""
    assert file in refused(write(**changes)).what


def test_a_component_that_is_not_there_is_named(write: Write) -> None:
    """Half a download is told before anything is loaded."""
    assert "lacks its image_encoder" in refused(write(image_encoder=["transformers", "CLIPVisionModel"])).what


def test_a_component_whose_folder_is_empty_is_named(write: Write) -> None:
    """Transformers makes a tokenizer out of nothing, and the first call fails with a number that is too large."""
    folder = write()
    (folder / "tokenizer" / "tokenizer_config.json").unlink()

    error = refused(folder)

    assert "lacks its tokenizer" in error.what
    assert "empty" in error.why


def test_a_component_without_weights_is_named(write: Write) -> None:
    """A folder with a configuration alone is half a download too."""
    error = refused(write(files={"vae/diffusion_pytorch_model.safetensors": None}))

    assert "no weights for its vae" in error.what
    assert "config.json" in error.why


def test_a_pipeline_without_a_denoiser_has_no_known_size(write: Write) -> None:
    """Where sizes cannot be told a function of one's own is the way."""
    assert "image size" in refused(write(unet=[None, None])).what


WAN = {
    "_class_name": "WanPipeline",
    "unet": [None, None],
    "transformer": ["diffusers", "WanTransformer3DModel"],
}


def wan(vae: dict[str, Any]) -> dict[str, Any]:
    """Return the changes that make a folder one of Wan, with this VAE."""
    return {
        **WAN,
        "files": {
            "transformer/config.json": {"patch_size": [1, 2, 2]},
            "transformer/diffusion_pytorch_model.safetensors": safetensors(),
            "vae/config.json": vae,
        },
    }


def test_a_pipeline_of_videos_has_the_size_and_frames_it_makes_by_itself(write: Write) -> None:
    """Both are read from the class's own call, and the VAE says which numbers of frames there are."""
    facts = pretrained.inspect(str(write(**wan({"scale_factor_temporal": 4}))))

    assert (facts.height, facts.width, facts.frames) == (480, 832, 81)
    assert (facts.factor, facts.frames_factor) == (16, 4)


def test_a_vae_whose_rule_the_native_number_breaks_has_none(write: Write) -> None:
    """Some VAEs of that kind take any number."""
    assert pretrained.inspect(str(write(**wan({"temporal_compression_ratio": 7})))).frames_factor == 1


def test_the_denoiser_says_how_many_frames_where_the_call_does_not(write: Write) -> None:
    """Stable Video Diffusion comes for 14 and for 25 frames."""
    folder = write(
        _class_name="StableVideoDiffusionPipeline",
        unet=["diffusers", "UNetSpatioTemporalConditionModel"],
        files={"unet/config.json": {"sample_size": 96, "num_frames": 25}},
    )

    facts = pretrained.inspect(str(folder))

    assert (facts.height, facts.width, facts.frames) == (576, 1024, 25)


def test_a_pipeline_that_changes_videos_is_one_of_videos(write: Write) -> None:
    """It counts no frames, it takes what it is given."""
    facts = pretrained.inspect(str(write(_class_name="VideoToVideoSDPipeline")))

    assert (facts.height, facts.frames) == (512, 17)


def test_a_pipeline_of_images_has_no_frames(write: Write) -> None:
    """Nor has one of a class that diffusers does not know."""
    assert pretrained.inspect(str(write())).frames is None
    assert pretrained.inspect(str(write(_class_name="MyPipeline"))).frames is None


def test_a_pipeline_of_sound_is_refused_before_it_is_loaded(write: Write) -> None:
    """It has no image size."""
    folder = write(
        _class_name="StableAudioPipeline",
        unet=[None, None],
        transformer=["diffusers", "StableAudioDiTModel"],
        files={
            "transformer/config.json": {"sample_size": 1024},
            "transformer/diffusion_pytorch_model.safetensors": safetensors(),
        },
    )

    assert "makes sound" in refused(folder).why


def test_the_vae_may_have_another_name(write: Write) -> None:
    """Latent diffusion calls it vqvae; its scale counts all the same."""
    folder = write(
        vae=[None, None],
        vqvae=["diffusers", "VQModel"],
        files={
            "vqvae/config.json": {"block_out_channels": [1, 2, 3]},
            "vqvae/diffusion_pytorch_model.safetensors": safetensors(),
        },
    )

    assert pretrained.inspect(str(folder)).height == 64 * 4


@pytest.mark.parametrize("class_name", ["CLIPImageProcessor", "CLIPImageProcessorPil", "SiglipImageProcessorFast"])
def test_what_prepares_images_needs_no_weights(write: Write, class_name: str) -> None:
    """Its class depends on the packages that are there when it is saved."""
    folder = write(
        feature_extractor=["transformers", class_name], files={"feature_extractor/preprocessor_config.json": {}}
    )

    assert pretrained.inspect(str(folder)).parameters == 45
