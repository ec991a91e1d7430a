"""The architectures that ship: their sizes, how they are used, and that the counts that are shown are true."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import count_parameters

TINY = [name for name in ARCHITECTURES if name.startswith("tiny-")]
FULL_SIZE = [name for name in ARCHITECTURES if name not in TINY]

CLIP_L, CLIP_L_PROJECTED, CLIP_BIG_G = 123_060_480, 123_650_304, 694_659_840
T5_XXL, UMT5_XXL = 4_762_310_656, 5_680_910_336
VAE, VAE_16, VIDEO_VAE = 83_653_863, 83_819_683, 126_892_531
SDXL = {"text_encoder": CLIP_L, "text_encoder_2": CLIP_BIG_G, "unet": 2_567_463_684, "vae": VAE}
SD3_TEXT = {"text_encoder": CLIP_L_PROJECTED, "text_encoder_2": CLIP_BIG_G, "text_encoder_3": T5_XXL}
FLUX_TEXT = {"text_encoder": CLIP_L, "text_encoder_2": T5_XXL}

# From the published models; see docs of each model, and the architectures' own configurations.
PUBLISHED = {
    "sd15": {"text_encoder": CLIP_L, "unet": 859_520_964, "vae": VAE},
    "sd21": {"text_encoder": 340_387_840, "unet": 865_910_724, "vae": VAE},
    "sdxl": SDXL,
    "sdxl-turbo": SDXL,
    "sd3-medium": {**SD3_TEXT, "transformer": 2_028_328_000, "vae": VAE_16},
    "sd35-medium": {**SD3_TEXT, "transformer": 2_243_171_520, "vae": VAE_16},
    "sd35-large": {**SD3_TEXT, "transformer": 8_056_627_520, "vae": VAE_16},
    "flux-dev": {**FLUX_TEXT, "transformer": 11_901_408_320, "vae": VAE_16},
    "flux-schnell": {**FLUX_TEXT, "transformer": 11_891_178_560, "vae": VAE_16},
    "pixart-xl": {"text_encoder": T5_XXL, "transformer": 611_349_152, "vae": VAE},
    "wan21-1.3b": {"text_encoder": UMT5_XXL, "transformer": 1_418_996_800, "vae": VIDEO_VAE},
    "wan21-14b": {"text_encoder": UMT5_XXL, "transformer": 14_288_491_584, "vae": VIDEO_VAE},
    "qwen-image": {"text_encoder": 8_292_166_656, "transformer": 20_430_401_088, "vae": VIDEO_VAE},
}

# Height, width, frames, steps, guidance where it is not the pipeline's default, and what sides are multiples of.
USE = {
    "sd15": (512, 512, None, 20, None, 8),
    "sd21": (768, 768, None, 20, None, 8),
    "sdxl": (1024, 1024, None, 20, None, 8),
    "sdxl-turbo": (512, 512, None, 1, 0.0, 8),
    "sd3-medium": (1024, 1024, None, 28, None, 16),
    "sd35-medium": (1024, 1024, None, 28, None, 16),
    "sd35-large": (1024, 1024, None, 28, None, 16),
    "flux-dev": (1024, 1024, None, 28, None, 16),
    "flux-schnell": (1024, 1024, None, 4, None, 16),
    "pixart-xl": (1024, 1024, None, 20, None, 16),
    "wan21-1.3b": (480, 832, 81, 50, None, 16),
    "wan21-14b": (480, 832, 81, 50, None, 16),
    "qwen-image": (1328, 1328, None, 50, None, 16),
}


@pytest.fixture(scope="module")
def counted() -> dict[str, Mapping[str, int]]:
    """Return the parameters of every component of every entry, as the modules have them."""
    return {name: count_parameters(entry) for name, entry in ARCHITECTURES.items()}


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_models_have_the_published_number_of_parameters(
    name: str, counted: dict[str, Mapping[str, int]]
) -> None:
    """Each component has, to the parameter, the size of the model it is named after."""
    assert counted[name] == PUBLISHED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_counts_that_are_shown_are_those_of_the_modules(name: str, counted: dict[str, Mapping[str, int]]) -> None:
    """`sdbatch models` prints constants, which are what the classes really build."""
    entry = ARCHITECTURES[name]

    assert {n: c.parameters for n, c in entry.components.items() if c.parameters} == counted[name]
    assert entry.parameters == sum(counted[name].values())


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_models_default_to_their_usual_use(name: str) -> None:
    """What runs when nothing is said is what the model's authors show: size, length, steps and guidance."""
    entry = ARCHITECTURES[name]
    shown = (entry.height, entry.width, entry.frames, entry.steps, entry.guidance, entry.factor)

    assert shown == USE[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_native_size_is_one_that_runs(name: str) -> None:
    """Sides are multiples of the factor, frames one more than a multiple of theirs."""
    entry = ARCHITECTURES[name]

    assert (entry.height % entry.factor, entry.width % entry.factor) == (0, 0)
    assert ((entry.frames or 1) - 1) % entry.frames_factor == 0


def test_every_family_has_a_miniature() -> None:
    """What a full-size model does is tried in tests: each pipeline class of the catalog has a tiny entry."""
    classes = {ARCHITECTURES[name].pipeline_class for name in FULL_SIZE}

    assert {ARCHITECTURES[name].pipeline_class for name in TINY} == classes


@pytest.mark.parametrize("name", TINY)
def test_tiny_models_are_tiny(name: str) -> None:
    """Tests can afford them: 70 to 230 thousand parameters, 64x64, four steps, few frames."""
    entry = ARCHITECTURES[name]

    assert 70_000 <= entry.parameters <= 230_000
    assert (entry.height, entry.width, entry.steps) == (64, 64, 4)
    assert (entry.frames or 1) <= 5


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_text_encoders_have_a_row_for_every_token(name: str) -> None:
    """The vocabulary of each tokenizer is that of the text encoder it feeds."""
    entry = ARCHITECTURES[name]

    for tokenizer, recipe in entry.tokenizers.items():
        config = entry.components[tokenizer.replace("tokenizer", "text_encoder")].config
        assert config.get("text_config", config)["vocab_size"] == recipe.vocabulary
