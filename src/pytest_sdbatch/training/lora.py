"""Low-rank adapters on a denoiser, by peft: what people who fine-tune train, and the networks' own loader takes."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.errors import ModelError

_NAME = "sdbatch"


def check_installed() -> None:
    """Refuse LoRA where the package that makes it is missing; before anything is loaded.

    Raises:
        ModelError: says how to get it.

    """
    import importlib.util

    if importlib.util.find_spec("peft") is None:
        raise ModelError(
            "LoRA needs the package peft",
            why="it makes the adapters, and is not installed",
            fix="pip install 'pytest-sdbatch[training]', or train all weights: -o sd_train_method=full",
        )


def adapt(denoiser: Any, *, rank: int, layers: tuple[str, ...], seed: int) -> list[Any]:
    """Give *denoiser* fresh adapters of *rank* on its *layers*, in fp32, and return their parameters.

    Called again it makes the adapters what they were at first: each case starts from the same values.

    Raises:
        ModelError: for a network without such layers.

    """
    import torch

    denoiser.requires_grad_(False)
    if not any(f".{_NAME}." in name for name, _ in denoiser.named_parameters()):
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(layers))
        try:
            # Not by add_adapter, which PixArt's network does not have.
            inject_adapter_in_model(config, denoiser, adapter_name=_NAME)
        except ValueError as error:
            raise ModelError(
                f"{type(denoiser).__name__} has no layer that LoRA could adapt",
                why=str(error).splitlines()[0],
                fix="train all weights: -o sd_train_method=full",
            ) from None
    parameters = []
    generator = torch.Generator("cpu").manual_seed(seed)
    with torch.no_grad():
        for name, parameter in denoiser.named_parameters():
            if f".{_NAME}." not in name:
                continue
            parameter.data = parameter.data.float()
            if ".lora_A." in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / rank)
            else:
                parameter.zero_()  # so that the adapters change nothing at first
            parameter.requires_grad_(True)
            parameters.append(parameter)
    return parameters
