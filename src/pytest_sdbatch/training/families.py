"""What one training step of each family of pipelines is: its encoding, its loss, the layers that LoRA adapts.

Each follows the family's own training script among diffusers' examples: the loss is on the noise (or the velocity)
for the UNets and PixArt, and flow matching for Stable Diffusion 3 and Flux.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.errors import ModelError

Examples = Mapping[str, Any]  # tensors, an example a row
_ATTENTION = ("to_k", "to_q", "to_v", "to_out.0")
_JOINT = ("attn.add_k_proj", "attn.add_q_proj", "attn.add_v_proj", "attn.to_add_out")
_JOINT_ATTENTION = (*_JOINT, "attn.to_k", "attn.to_out.0", "attn.to_q", "attn.to_v")
_FEED_FORWARD = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2")
_SCHEDULER = "_sdbatch_training_scheduler"  # attribute of the pipeline
_FLUX_GUIDANCE = 3.5  # what the script gives a network that has the guidance built in


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How pipelines of one kind are trained."""

    denoiser: str  # the component that is trained: "unet" or "transformer"
    adapted: tuple[str, ...]  # ends of the names of the layers that LoRA adapts
    encode_text: Callable[[Any, list[str]], dict[str, Any]]  # (pipeline, captions) -> tensors by name
    loss: Callable[[Any, Any, Examples, Any], Any]  # (pipeline, denoiser, examples, generator) -> scalar
    objective: Callable[[Any], str]  # of a pipeline, in words


def family_of(pipeline_class: str) -> Family:
    """Return how a pipeline of the class *pipeline_class* is trained.

    Raises:
        ModelError: for one whose training step is not known.

    """
    for name, family in FAMILIES.items():
        if pipeline_class == name:
            return family
    raise ModelError(
        f"{pipeline_class}: its training step is not known",
        why=f"known are {', '.join(FAMILIES)}",
        fix="write a test with a step of your own: sd_training(step, batches=...)",
    )


def encode_images(pipeline: Any, pixels: Any) -> Any:
    """Return the latents of *pixels*, from -1 to 1, as the denoiser is trained on them."""
    import torch

    vae = pipeline.vae
    if getattr(vae.config, "force_upcast", False):
        vae.to(dtype=torch.float32)  # as the scripts do: in half precision SDXL's gives NaN
    latents = vae.encode(pixels.to(device=vae.device, dtype=vae.dtype)).latent_dist.sample()
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return (latents - shift) * vae.config.scaling_factor


def _text_of_sd(pipeline: Any, captions: list[str]) -> dict[str, Any]:
    embeddings, _ = pipeline.encode_prompt(captions, pipeline.device, 1, do_classifier_free_guidance=False)
    return {"text": embeddings}


def _text_of_sdxl(pipeline: Any, captions: list[str]) -> dict[str, Any]:
    found = pipeline.encode_prompt(captions, device=pipeline.device, do_classifier_free_guidance=False)
    return {"text": found[0], "pooled": found[2]}


def _text_of_sd3(pipeline: Any, captions: list[str]) -> dict[str, Any]:
    found = pipeline.encode_prompt(
        captions, captions, captions, device=pipeline.device, do_classifier_free_guidance=False
    )
    return {"text": found[0], "pooled": found[2]}


def _text_of_flux(pipeline: Any, captions: list[str]) -> dict[str, Any]:
    text, pooled, _ = pipeline.encode_prompt(captions, device=pipeline.device)
    return {"text": text, "pooled": pooled}


def _text_of_pixart(pipeline: Any, captions: list[str]) -> dict[str, Any]:
    text, mask, *_ = pipeline.encode_prompt(captions, do_classifier_free_guidance=False, device=pipeline.device)
    return {"text": text, "mask": mask}


def _noised(pipeline: Any, latents: Any, generator: Any) -> tuple[Any, Any, Any]:
    """Return noisy latents, their timesteps, and what the network is to predict."""
    import torch

    scheduler = _scheduler(pipeline, "DDPMScheduler")
    noise = torch.randn(latents.shape, generator=generator, device=latents.device, dtype=latents.dtype)
    timesteps = torch.randint(
        scheduler.config.num_train_timesteps, (len(latents),), generator=generator, device=latents.device
    )
    noisy = scheduler.add_noise(latents, noise, timesteps)
    if scheduler.config.prediction_type == "v_prediction":
        return noisy, timesteps, scheduler.get_velocity(latents, noise, timesteps)
    return noisy, timesteps, noise


def _scheduler(pipeline: Any, class_name: str) -> Any:
    """Return the scheduler that *pipeline* is trained with, set as the one that it draws with; made once."""
    if _SCHEDULER not in vars(pipeline):
        import diffusers

        config = dict(pipeline.scheduler.config)
        known = inspect.signature(getattr(diffusers, class_name).__init__).parameters
        # The rest belongs to the other class, and would be warned of.
        settings = {name: value for name, value in config.items() if name in known}
        vars(pipeline)[_SCHEDULER] = getattr(diffusers, class_name)(**settings)
    return vars(pipeline)[_SCHEDULER]


def _squares(prediction: Any, target: Any) -> Any:
    import torch

    return torch.nn.functional.mse_loss(prediction.float(), target.float())


def _loss_of_unet(pipeline: Any, denoiser: Any, examples: Examples, generator: Any) -> Any:
    latents = examples["latents"]
    noisy, timesteps, target = _noised(pipeline, latents, generator)
    added = {}
    if "pooled" in examples:
        import torch

        size = examples["size"]  # before and after it was cropped, at the corner
        times = torch.cat([size, torch.zeros_like(size), size], dim=1).to(latents.dtype)
        added = {"added_cond_kwargs": {"text_embeds": examples["pooled"], "time_ids": times}}
    prediction = denoiser(noisy, timesteps, examples["text"], return_dict=False, **added)[0]
    return _squares(prediction, target)


def _loss_of_pixart(pipeline: Any, denoiser: Any, examples: Examples, generator: Any) -> Any:
    latents = examples["latents"]
    noisy, timesteps, target = _noised(pipeline, latents, generator)
    size: dict[str, Any] = {"resolution": None, "aspect_ratio": None}
    if pipeline.transformer.config.sample_size == 128:  # as the pipeline decides: only that one knows sizes
        pixels = examples["size"].to(latents.dtype)
        size = {"resolution": pixels, "aspect_ratio": pixels[:, :1] / pixels[:, 1:]}
    prediction = denoiser(
        noisy,
        encoder_hidden_states=examples["text"],
        encoder_attention_mask=examples["mask"],
        timestep=timesteps,
        added_cond_kwargs=size,
        return_dict=False,
    )[0]
    return _squares(prediction.chunk(2, dim=1)[0], target)  # the other half is the learned variance


def _flowing(pipeline: Any, latents: Any, generator: Any, weighting: str) -> tuple[Any, Any, Any, Any]:
    """Return noisy latents, timesteps, sigmas and noise of flow matching."""
    import torch
    from diffusers.training_utils import compute_density_for_timestep_sampling

    scheduler = _scheduler(pipeline, "FlowMatchEulerDiscreteScheduler")
    noise = torch.randn(latents.shape, generator=generator, device=latents.device, dtype=latents.dtype)
    density = compute_density_for_timestep_sampling(
        weighting, len(latents), logit_mean=0.0, logit_std=1.0, device=latents.device, generator=generator
    )
    indices = (density * scheduler.config.num_train_timesteps).long()
    timesteps = scheduler.timesteps.to(latents.device)[indices]
    sigmas = scheduler.sigmas.to(latents.device, latents.dtype)[indices].view(-1, *[1] * (latents.ndim - 1))
    return (1.0 - sigmas) * latents + sigmas * noise, timesteps, sigmas, noise


def _loss_of_sd3(pipeline: Any, denoiser: Any, examples: Examples, generator: Any) -> Any:
    latents = examples["latents"]
    noisy, timesteps, sigmas, _ = _flowing(pipeline, latents, generator, "logit_normal")
    prediction = denoiser(
        hidden_states=noisy,
        timestep=timesteps,
        encoder_hidden_states=examples["text"],
        pooled_projections=examples["pooled"],
        return_dict=False,
    )[0]
    return _squares(prediction * -sigmas + noisy, latents)


def _loss_of_flux(pipeline: Any, denoiser: Any, examples: Examples, generator: Any) -> Any:
    import torch

    latents = examples["latents"]
    noisy, timesteps, _, noise = _flowing(pipeline, latents, generator, "none")
    count, _, height, width = latents.shape
    ids = torch.zeros(height // 2, width // 2, 3, device=latents.device, dtype=latents.dtype)
    ids[..., 1] += torch.arange(height // 2, device=latents.device)[:, None]
    ids[..., 2] += torch.arange(width // 2, device=latents.device)[None, :]
    guided = pipeline.transformer.config.guidance_embeds
    prediction = denoiser(
        hidden_states=_packed(noisy),
        timestep=timesteps / 1000,
        guidance=torch.full((count,), _FLUX_GUIDANCE, device=latents.device) if guided else None,
        pooled_projections=examples["pooled"],
        encoder_hidden_states=examples["text"],
        txt_ids=torch.zeros(examples["text"].shape[1], 3, device=latents.device, dtype=latents.dtype),
        img_ids=ids.view(-1, 3),
        return_dict=False,
    )[0]
    return _squares(prediction, _packed(noise - latents))


def _packed(latents: Any) -> Any:
    """Return patches of 2 x 2 latents, a row each: what Flux's transformer takes and gives."""
    count, channels, height, width = latents.shape
    patches = latents.view(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(count, height // 2 * (width // 2), channels * 4)


def _noise_objective(pipeline: Any) -> str:
    kind = str(pipeline.scheduler.config.get("prediction_type", "epsilon"))
    return "velocity" if kind == "v_prediction" else "noise"


def _flow_objective(pipeline: Any) -> str:
    del pipeline
    return "flow matching"


def _unet(encode_text: Callable[[Any, list[str]], dict[str, Any]]) -> Family:
    return Family(
        denoiser="unet", adapted=_ATTENTION, encode_text=encode_text, loss=_loss_of_unet, objective=_noise_objective
    )


FAMILIES: Mapping[str, Family] = {
    "StableDiffusionPipeline": _unet(_text_of_sd),
    "StableDiffusionXLPipeline": _unet(_text_of_sdxl),
    "StableDiffusion3Pipeline": Family(
        denoiser="transformer",
        adapted=_JOINT_ATTENTION,
        encode_text=_text_of_sd3,
        loss=_loss_of_sd3,
        objective=_flow_objective,
    ),
    "FluxPipeline": Family(
        denoiser="transformer",
        adapted=(*_JOINT_ATTENTION, *_FEED_FORWARD),
        encode_text=_text_of_flux,
        loss=_loss_of_flux,
        objective=_flow_objective,
    ),
    "PixArtAlphaPipeline": Family(
        denoiser="transformer",
        adapted=_ATTENTION,
        encode_text=_text_of_pixart,
        loss=_loss_of_pixart,
        objective=_noise_objective,
    ),
}


def take(examples: Examples, rows: Sequence[int]) -> dict[str, Any]:
    """Return the examples at *rows*, counted round and round."""
    import torch

    some = next(iter(examples.values()))
    index = torch.tensor([row % len(some) for row in rows], device=some.device)
    return {name: tensor.index_select(0, index) for name, tensor in examples.items()}
