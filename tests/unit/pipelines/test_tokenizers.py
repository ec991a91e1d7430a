"""The tokenizers that need no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.pipelines.architectures import ARCHITECTURES, Tokenizer
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.pipelines.tokenizers import (
    clip_tokenizer,
    clip_vocabulary,
    make_tokenizer,
    qwen2_tokenizer,
    t5_tokenizer,
)

RECIPES = {
    (recipe.kind, recipe.vocabulary): recipe for entry in ARCHITECTURES.values() for recipe in entry.tokenizers.values()
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=str)
def test_a_tokenizer_has_the_length_and_ids_of_its_recipe(recipe: Tokenizer) -> None:
    """Prompts are cut where the trained one cuts them, and every id has a row in the embedding."""
    tokenizer = make_tokenizer(recipe)
    ids = tokenizer("Zebras & \u732b: 7 caf\xe9s").input_ids

    assert tokenizer.model_max_length == recipe.length
    assert max(ids) < recipe.vocabulary
    assert len(tokenizer) <= recipe.vocabulary
    assert tokenizer.pad_token_id < recipe.vocabulary


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=str)
def test_a_saved_tokenizer_reads_the_same(recipe: Tokenizer, tmp_path: Path) -> None:
    """It survives save_pretrained, so pipelines made with it can be saved and loaded."""
    tokenizer = make_tokenizer(recipe)
    tokenizer.save_pretrained(tmp_path)
    loaded = type(tokenizer).from_pretrained(tmp_path)
    prompts = ["a cat!", "the dog of the image"]

    again = loaded(prompts, padding="max_length", max_length=40, truncation=True)

    assert again == tokenizer(prompts, padding="max_length", max_length=40, truncation=True)
    assert loaded.model_max_length == recipe.length


@pytest.mark.parametrize(("size", "tokens"), [(190, 190), (49_408, 514)])
def test_ids_are_distinct_and_fit_the_text_encoder(size: int, tokens: int) -> None:
    """No two tokens share an id, and every id has a row in the embedding."""
    ids = list(clip_vocabulary(size).values())

    assert len(ids) == len(set(ids)) == tokens
    assert max(ids) == size - 1


def test_letters_have_the_ids_of_clip() -> None:
    """A trained text encoder reads our letters as letters: CLIP's own ids of `a`, `a</w>` and the marks."""
    vocabulary = clip_vocabulary(49_408)

    assert (vocabulary["!"], vocabulary["a"], vocabulary["a</w>"]) == (0, 64, 320)
    assert (vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]) == (49_406, 49_407)


@pytest.mark.parametrize("size", [190, 49_408])
def test_a_prompt_becomes_77_tokens_between_its_marks(size: int) -> None:
    """Prompts of any length are padded or cut to what CLIP's text encoder takes."""
    tokenizer = clip_tokenizer(size)

    for prompt in ("a cat", "x" * 200):
        ids = tokenizer(prompt, padding="max_length", max_length=77, truncation=True).input_ids
        assert len(ids) == 77
        assert (ids[0], ids[-1]) == (size - 2, size - 1)
    assert tokenizer("a cat").input_ids[1:-1] == [clip_vocabulary(size)[t] for t in ("a</w>", "c", "a", "t</w>")]


def test_letters_outside_ascii_are_tokens_of_a_full_vocabulary() -> None:
    """A prompt in another alphabet does not end at its first letter."""
    assert 49_407 not in clip_tokenizer(49_408)("été 猫").input_ids[1:-1]


@pytest.mark.parametrize("size", [98, 32_128, 256_384])
def test_t5_prompts_end_with_the_end_mark_and_are_padded_behind_it(size: int) -> None:
    """Padding, end and unknown are 0, 1 and 2 as in the trained ones; the attention mask ends with the prompt."""
    tokenizer = t5_tokenizer(size, length=512)

    batch = tokenizer(["a b", "\u732b"], padding="max_length", max_length=8, truncation=True)

    space = tokenizer.convert_tokens_to_ids("\u2581")
    a, b = tokenizer.convert_tokens_to_ids(["a", "b"])
    assert batch.input_ids == [[space, a, space, b, 1, 0, 0, 0], [space, 2, 1, 0, 0, 0, 0, 0]]
    assert [sum(mask) for mask in batch.attention_mask] == [5, 3]


def test_t5_prompts_that_are_too_long_are_cut_before_the_end_mark() -> None:
    """The last token is the end mark whatever was cut."""
    ids = t5_tokenizer(98, length=512)("x" * 2000, truncation=True).input_ids

    assert (len(ids), ids[-1]) == (512, 1)


@pytest.mark.parametrize(("size", "first_mark"), [(512, 509), (152_064, 151_643)])
def test_qwen_marks_have_their_ids_and_are_never_split(size: int, first_mark: int) -> None:
    """End of text, start and end of a turn: single tokens, at Qwen's own ids in its own vocabulary."""
    tokenizer = qwen2_tokenizer(size, length=131_072)

    ids = tokenizer("<|endoftext|><|im_start|><|im_end|>").input_ids

    assert ids == [first_mark, first_mark + 1, first_mark + 2]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (first_mark, first_mark + 2)


def test_letters_have_the_ids_of_qwen() -> None:
    """A trained text encoder reads our bytes as bytes: Qwen's own ids of `!`, `a` and the line's end."""
    tokenizer = qwen2_tokenizer(152_064, length=131_072)

    assert tokenizer.convert_tokens_to_ids(["!", "a", "\u010a"]) == [0, 64, 198]


@pytest.mark.parametrize("size", [512, 152_064])
def test_what_the_qwen_pipeline_cuts_off_is_its_introduction(size: int) -> None:
    """The pipeline drops a fixed number of tokens before each prompt; with ours they are the same words."""
    pipeline = build(ARCHITECTURES["tiny-qwen-image"], device="cpu", dtype="fp32", seed=0)
    tokenizer = qwen2_tokenizer(size, length=131_072)
    introduction, rest = pipeline.prompt_template_encode.split("{}")

    assert len(tokenizer(introduction).input_ids) == pipeline.prompt_template_encode_start_idx
    assert len(tokenizer(rest).input_ids) == 5  # as many as with the trained one
    assert tokenizer.decode(tokenizer(introduction).input_ids) == introduction


@pytest.mark.parametrize("make", [lambda: clip_vocabulary(100), lambda: t5_tokenizer(97, length=512)])
def test_a_vocabulary_that_is_too_small_is_refused(make: Any) -> None:
    """Ids beyond the embedding would fail far from their cause."""
    with pytest.raises(ValueError, match=r"does not hold (190|98) tokens"):
        make()


def test_a_vocabulary_too_small_for_qwen_is_refused() -> None:
    """Its marks come behind the last word."""
    with pytest.raises(ValueError, match="does not hold"):
        qwen2_tokenizer(300, length=10)
