"""The tokenizer that needs no download."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sdbatch.pipelines.tokenizers import clip_tokenizer, clip_vocabulary


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
    """Prompts of any length are padded or cut to what the text encoder takes."""
    tokenizer = clip_tokenizer(size)

    for prompt in ("a cat", "x" * 200):
        ids = tokenizer(prompt, padding="max_length", max_length=77, truncation=True).input_ids
        assert len(ids) == 77
        assert (ids[0], ids[-1]) == (size - 2, size - 1)
    assert tokenizer("a cat").input_ids[1:-1] == [clip_vocabulary(size)[t] for t in ("a</w>", "c", "a", "t</w>")]


def test_letters_outside_ascii_are_tokens_of_a_full_vocabulary() -> None:
    """A prompt in another alphabet does not end at its first letter."""
    assert 49_407 not in clip_tokenizer(49_408)("été 猫").input_ids[1:-1]


def test_a_saved_tokenizer_reads_the_same(tmp_path: Path) -> None:
    """It survives save_pretrained, so pipelines made with it can be saved and loaded."""
    from transformers import CLIPTokenizer

    tokenizer = clip_tokenizer(190)
    tokenizer.save_pretrained(tmp_path)

    assert CLIPTokenizer.from_pretrained(tmp_path)("a cat!").input_ids == tokenizer("a cat!").input_ids


def test_a_vocabulary_that_is_too_small_is_refused() -> None:
    """Ids beyond the embedding would fail far from their cause."""
    with pytest.raises(ValueError, match="190 tokens"):
        clip_vocabulary(100)
