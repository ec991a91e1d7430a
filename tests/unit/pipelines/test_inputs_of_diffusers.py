"""Pipelines of diffusers that have no catalog entry: saved to a folder, loaded, and called for a case."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines import pretrained
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.pipelines.generation import GenerationWorkload
from pytest_sdbatch.pipelines.inputs import pipeline_arguments
from pytest_sdbatch.pipelines.output import check_output

Parts = dict[str, Any]
PLAIN = {"height", "width", "num_inference_steps", "output_type", "generator"}  # made of the case alone
BLOCKS = {"layers_per_block": 1, "norm_num_groups": 8}
SMALL = {"block_out_channels": (8, 16), **BLOCKS}
CROSS = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 2,
}
VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (8, 16),
    **BLOCKS,
}
VIDEO = {
    "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
    "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A pipeline class, how it is made of what ``sd`` and ``sdxl`` hold, and what its folder must tell."""

    make: Callable[[Parts, Parts], Parts]
    size: int = 64  # native
    run_size: int = 64
    frames: int | None = None
    given: tuple[str, ...]  # arguments that pictures or numbers had to be made for
    steps: int = 2
    run_frames: int = 2


def model(class_name: str, **config: Any) -> Any:
    """Return a network of diffusers, its weights drawn from a fixed seed."""
    import diffusers
    import torch

    torch.manual_seed(0)
    return getattr(diffusers, class_name)(**config).eval()


def scheduler(class_name: str, **config: Any) -> Any:
    """Return a scheduler with the noise schedule of Stable Diffusion."""
    import diffusers

    return getattr(diffusers, class_name)(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **config)


def unet(**config: Any) -> Any:
    """Return a tiny UNet that reads prompts."""
    return model("UNet2DConditionModel", sample_size=8, **{**SMALL, **CROSS, **config})


def pixel_unet(**config: Any) -> Any:
    """Return a tiny UNet without prompts."""
    types = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    return model("UNet2DModel", sample_size=32, **{**SMALL, **types, **config})


def image_encoder() -> Any:
    """Return a tiny CLIP that reads images."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=224, patch_size=112, projection_dim=32, **sizes))


def image_processor() -> Any:
    """Return what prepares images for :func:`image_encoder`."""
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor()


def controlnet(of: Any) -> Any:
    """Return a ControlNet with the sizes of a UNet."""
    import torch
    from diffusers import ControlNetModel

    torch.manual_seed(0)
    return ControlNetModel.from_unet(of, conditioning_channels=3).eval()


def union_controlnet(of: Any) -> Any:
    """Return a ControlNet of several kinds of control, with the sizes of a UNet."""
    first = of.config.block_out_channels[0]
    sizes = {name: of.config[name] for name in (
        "block_out_channels", "down_block_types", "attention_head_dim", "cross_attention_dim", "layers_per_block",
        "norm_num_groups", "addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim",
    )}  # fmt: skip
    ends = {"num_trans_channel": first, "num_trans_head": 2, "num_proj_channel": first}
    return model("ControlNetUnionModel", num_control_type=3, **sizes, **ends)


def xl(parts: Parts, **more: Any) -> Parts:
    """Return the components of an SDXL pipeline that adds no watermark."""
    return {**parts, "add_watermarker": False, **more}


def class_conditional() -> Parts:
    """Return the components of a DiT."""
    transformer = model(
        "DiTTransformer2DModel",
        sample_size=8,
        num_layers=1,
        patch_size=2,
        attention_head_dim=4,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,  # the pipeline takes class 1000 for none
        norm_type="ada_norm_zero",
        norm_elementwise_affine=False,
    )
    return {"transformer": transformer, "vae": model("AutoencoderKL", **VAE), "scheduler": scheduler("DDIMScheduler")}


def animated(sd: Parts) -> Parts:
    """Return the components of AnimateDiff."""
    motion = {"motion_layers_per_block": 1, "motion_num_attention_heads": 2, "motion_norm_num_groups": 2}
    adapter = model("MotionAdapter", block_out_channels=(8, 16), **motion)
    return {**without(sd, "safety_checker", "requires_safety_checker"), "motion_adapter": adapter}


def image_to_video() -> Parts:
    """Return the components of Stable Video Diffusion."""
    denoiser = model(
        "UNetSpatioTemporalConditionModel",
        sample_size=8,
        in_channels=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        cross_attention_dim=32,
        num_attention_heads=(2, 4),
        projection_class_embeddings_input_dim=96,
        addition_time_embed_dim=32,
        num_frames=4,
    )
    vae = {"down_block_types": VAE["down_block_types"], "block_out_channels": (32, 64), "layers_per_block": 1}
    return {
        "unet": denoiser,
        "vae": model("AutoencoderKLTemporalDecoder", **vae),
        "image_encoder": image_encoder(),
        "feature_extractor": image_processor(),
        "scheduler": scheduler("EulerDiscreteScheduler", prediction_type="v_prediction"),
    }


def upscaler(sd: Parts) -> Parts:
    """Return the components of the x4 upscaler."""
    return {
        "text_encoder": sd["text_encoder"],
        "tokenizer": sd["tokenizer"],
        "unet": model(
            "UNet2DConditionModel", sample_size=16, in_channels=7, out_channels=4, num_class_embeds=1000,
            **SMALL, **CROSS,
        ),
        "vae": model("AutoencoderKL", scaling_factor=0.08333, **{
            **VAE, "down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3,
            "block_out_channels": (8, 8, 16),
        }),
        "low_res_scheduler": scheduler("DDPMScheduler"),
        "scheduler": scheduler("DDIMScheduler", clip_sample=False),
    }  # fmt: skip


def latent_upscaler(sd: Parts) -> Parts:
    """Return the components of the x2 upscaler of latents."""
    denoiser = model(
        "UNet2DConditionModel",
        sample_size=8,
        in_channels=8,
        out_channels=5,
        act_fn="gelu",
        attention_head_dim=8,
        block_out_channels=(32, 32, 64, 64),
        cross_attention_dim=32,
        conv_in_kernel=1,
        conv_out_kernel=1,
        down_block_types=("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3),
        up_block_types=(*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=None,
        mid_block_type=None,
        time_embedding_type="fourier",
        resnet_time_scale_shift="scale_shift",
        only_cross_attention=False,
        timestep_post_act="gelu",
        time_cond_proj_dim=160,
        dual_cross_attention=False,
    )
    return {
        **{name: sd[name] for name in ("text_encoder", "tokenizer", "vae")},
        "unet": denoiser,
        "scheduler": scheduler("EulerDiscreteScheduler", prediction_type="sample"),
    }


def without(parts: Parts, *names: str) -> Parts:
    """Return *parts* but those."""
    return {name: part for name, part in parts.items() if name not in names}


KINDS: Mapping[str, Kind] = {
    "StableDiffusionImg2ImgPipeline": Kind(make=lambda sd, _: sd, given=("prompt", "image")),
    "StableDiffusionInpaintPipeline": Kind(make=lambda sd, _: sd, given=("prompt", "image", "mask_image")),
    "StableDiffusionControlNetPipeline": Kind(
        make=lambda sd, _: {**sd, "controlnet": controlnet(sd["unet"])}, given=("prompt", "image")
    ),
    "StableDiffusionControlNetImg2ImgPipeline": Kind(
        make=lambda sd, _: {**sd, "controlnet": controlnet(sd["unet"])}, given=("prompt", "image", "control_image")
    ),
    "StableDiffusionInstructPix2PixPipeline": Kind(
        make=lambda sd, _: {**sd, "unet": unet(in_channels=8, out_channels=4)}, given=("prompt", "image")
    ),
    "StableDiffusionUpscalePipeline": Kind(make=lambda sd, _: upscaler(sd), given=("prompt", "image")),
    "StableDiffusionLatentUpscalePipeline": Kind(
        make=lambda sd, _: latent_upscaler(sd), run_size=128, given=("prompt", "image")
    ),
    "StableDiffusionImageVariationPipeline": Kind(
        make=lambda sd, _: {
            **without(sd, "text_encoder", "tokenizer"),
            "image_encoder": image_encoder(),
            "feature_extractor": image_processor(),
        },
        given=("image",),
    ),
    "LatentConsistencyModelPipeline": Kind(
        make=lambda sd, _: {
            **sd,
            "unet": unet(time_cond_proj_dim=32),
            "scheduler": scheduler("LCMScheduler"),
        },
        given=("prompt",),
    ),
    "StableDiffusionXLImg2ImgPipeline": Kind(
        make=lambda _, sdxl: xl(sdxl), given=("prompt", "image"), steps=4
    ),
    "StableDiffusionXLInpaintPipeline": Kind(
        make=lambda _, sdxl: xl(sdxl), given=("prompt", "image", "mask_image")
    ),
    "StableDiffusionXLControlNetPipeline": Kind(
        make=lambda _, sdxl: xl(sdxl, controlnet=controlnet(sdxl["unet"])), given=("prompt", "image")
    ),
    "StableDiffusionXLControlNetUnionPipeline": Kind(
        make=lambda _, sdxl: xl(sdxl, controlnet=union_controlnet(sdxl["unet"])),
        given=("prompt", "control_image", "control_mode"),
    ),
    "StableDiffusionXLControlNetImg2ImgPipeline": Kind(  # with several ControlNets, as every such pipeline may be
        make=lambda _, sdxl: xl(sdxl, controlnet=[controlnet(sdxl["unet"]), controlnet(sdxl["unet"])]),
        given=("prompt", "image", "control_image"), steps=4,
    ),
    "DDPMPipeline": Kind(
        make=lambda *_: {"unet": pixel_unet(), "scheduler": scheduler("DDPMScheduler")},
        size=32, run_size=32, given=("batch_size",),
    ),
    "DDIMPipeline": Kind(
        make=lambda *_: {"unet": pixel_unet(), "scheduler": scheduler("DDIMScheduler")},
        size=32, run_size=32, given=("batch_size",),
    ),
    "LDMSuperResolutionPipeline": Kind(
        make=lambda *_: {
            "vqvae": model("VQModel", num_vq_embeddings=16, vq_embed_dim=3, latent_channels=3, **VAE),
            "unet": pixel_unet(in_channels=6, out_channels=3),
            "scheduler": scheduler("DDIMScheduler"),
        },
        given=("batch_size", "image"),
    ),
    "DiTPipeline": Kind(
        make=lambda *_: class_conditional(), size=16, run_size=16, given=("class_labels",)
    ),
    "TextToVideoSDPipeline": Kind(
        make=lambda sd, _: {
            **{name: sd[name] for name in ("text_encoder", "tokenizer", "vae", "scheduler")},
            "unet": model("UNet3DConditionModel", sample_size=8, **{**SMALL, **VIDEO}),
        },
        frames=16, given=("prompt", "num_frames"),
    ),
    "AnimateDiffPipeline": Kind(
        make=lambda sd, _: animated(sd), frames=16, given=("prompt", "num_frames")
    ),
    "AnimateDiffVideoToVideoPipeline": Kind(
        make=lambda sd, _: animated(sd), frames=17, given=("prompt", "video")
    ),
    "StableVideoDiffusionPipeline": Kind(
        make=lambda *_: image_to_video(), frames=4, given=("image", "num_frames"), size=576, run_size=32
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> tuple[Parts, Parts]:
    """Return the components of a tiny Stable Diffusion and a tiny SDXL."""
    made = [build(ARCHITECTURES[name], device="cpu", dtype="fp32", seed=0) for name in ("tiny-sd", "tiny-sdxl")]
    sd, sdxl = (dict(pipeline.components) for pipeline in made)
    sd.update(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    return sd, sdxl


@pytest.fixture(scope="module")
def saved(shared: tuple[Parts, Parts], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Save the pipeline of a class once, and return its folder."""
    import diffusers

    folders: dict[str, Path] = {}

    def save(class_name: str) -> Path:
        if class_name not in folders:
            cls = getattr(diffusers, class_name, None)
            if cls is None:
                pytest.skip(f"diffusers {diffusers.__version__} has no {class_name}")
            parts = KINDS[class_name].make(*shared)
            folders[class_name] = tmp_path_factory.mktemp(class_name)
            cls(**without(parts, *unknown(cls, parts))).save_pretrained(folders[class_name])
        return folders[class_name]

    return save


def unknown(cls: Any, parts: Parts) -> set[str]:
    """Return the names of *parts* that the constructor of a pipeline does not take."""
    return parts.keys() - inspect.signature(cls.__init__).parameters.keys()


def case_of(kind: Kind, batch_size: int, **changes: Any) -> Case:
    """Return a case of two steps."""
    fields: dict[str, Any] = {
        "model": "folder", "weights": "trained", "dtype": "fp32", "device": "cpu",
        "height": kind.run_size, "width": kind.run_size, "steps": kind.steps,
        "frames": None if kind.frames is None else kind.run_frames,
        "batch_size": batch_size, "batch_count": 1,
    }  # fmt: skip
    return Case(**{**fields, **changes})


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' Euler scheduler
@pytest.mark.parametrize("class_name", KINDS)
def test_a_folder_of_any_class_makes_what_was_asked_for(class_name: str, saved: Callable[[str], Path]) -> None:
    """One and two images, or videos, at the size of the case come out, whatever the pipeline has to be given."""
    kind, folder = KINDS[class_name], saved(class_name)
    facts = pretrained.inspect(str(folder))
    pipeline = pretrained.load(str(folder), device="cpu", dtype="fp32")

    for batch_size in (1, 2):
        case = case_of(kind, batch_size)
        workload = GenerationWorkload(pipeline, case)
        (call,) = workload.prepare()
        verdict = check_output([call()], case)
        assert (verdict.status, verdict.problem) == ("checked", None)
        made = pipeline_arguments(pipeline, workload._batch(0)).keys() - PLAIN
        assert made == set(kind.given)
    assert type(pipeline).__name__ == class_name
    assert (facts.height, facts.frames) == (kind.size, kind.frames)
    assert kind.run_size % facts.factor == 0  # the grid lets this size through
