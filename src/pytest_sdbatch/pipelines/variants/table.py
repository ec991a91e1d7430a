"""All variants, in canonical order: the order in which names are written and changes are made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_sdbatch.pipelines.variants import attention, caching, compiler, formats, memory, offload
from pytest_sdbatch.pipelines.variants.entry import Variant

EAGER = "eager"

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        row.name: row
        for row in (
            Variant(name=EAGER, what="the pipeline as it is"),
            Variant(
                name="channels-last",
                what="convolutions of denoiser and VAE in channels-last memory format",
                apply=memory.channels_last,
            ),
            Variant(name="vae-slicing", what="the VAE decodes one image at a time", apply=memory.vae_slicing),
            Variant(name="vae-tiling", what="the VAE decodes large images in tiles", apply=memory.vae_tiling),
            Variant(
                name="attention-slicing",
                what="attention in two steps, less memory",
                apply=memory.attention_slicing,
            ),
            Variant(name="fuse-qkv", what="query, key and value in one matrix product", apply=attention.fuse_qkv),
            Variant(name=attention.LISTED, what="attention by a back end of diffusers, as in attn:native"),
            *caching.VARIANTS,
            *formats.VARIANTS,
            *offload.VARIANTS,
            *compiler.VARIANTS,
        )
    }
)


def lookup(name: str, extra: Mapping[str, Variant]) -> Variant | None:
    """Return the variant *name* of ours or of *extra*, a project's own, or None.

    Raises:
        OptionError: for an attention back end that diffusers does not know.

    """
    if name.startswith(attention.PREFIX):
        return attention.backend_variant(name)
    return VARIANTS.get(name) or extra.get(name)


def in_order(names: list[str], extra: Mapping[str, Variant]) -> list[str]:
    """Return *names* in canonical order: a project's own stand before what places and what compiles the pipeline."""
    own = [row.name for row in VARIANTS.values() if row.place is None and not row.compiles]
    last = [name for name in VARIANTS if name not in own]
    positions = {name: position for position, name in enumerate([*own, *extra, *last])}
    return sorted(names, key=lambda name: positions[_listed(name)])


def _listed(name: str) -> str:
    return attention.LISTED if name.startswith(attention.PREFIX) else name
