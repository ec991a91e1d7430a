"""A CLIP tokenizer without a download: it spells prompts letter by letter and pads to 77 tokens like any other."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.pipelines.architectures import CLIP_END_ID, CLIP_START_ID, CLIP_VOCABULARY

_WORD_END = "</w>"
_MARKS = ("<|startoftext|>", "<|endoftext|>")
_PRINTABLE = tuple(range(0x21, 0x7F))  # the 94 visible characters of ASCII
_LATIN = (*range(0xA1, 0xAD), *range(0xAE, 0x100))


def clip_vocabulary(size: int) -> dict[str, int]:
    """Return token -> id of single letters, the same letters as ends of words, and the two marks.

    Args:
        size: of the text encoder's vocabulary. For CLIP's own 49,408 these are all 256 bytes under the ids CLIP gives
            them, so that a trained text encoder reads real letters. For a smaller one they are the 94 printable
            characters, counted from 0; anything else reads as the end mark.

    Raises:
        ValueError: for a size that does not hold them.

    """
    if size == CLIP_VOCABULARY:
        letters, marks = _byte_letters(), (CLIP_START_ID, CLIP_END_ID)
    else:
        letters, marks = [chr(code) for code in _PRINTABLE], (size - 2, size - 1)
    if size < 2 * len(letters) + 2:
        raise ValueError(f"a vocabulary of {size} does not hold {2 * len(letters) + 2} tokens")
    tokens = [*letters, *(letter + _WORD_END for letter in letters)]
    return {token: number for number, token in enumerate(tokens)} | dict(zip(_MARKS, marks, strict=True))


def clip_tokenizer(size: int) -> Any:
    """Return a ``transformers.CLIPTokenizer`` over :func:`clip_vocabulary`, made in memory."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(vocab=clip_vocabulary(size), merges=[], model_max_length=77)


def _byte_letters() -> list[str]:
    """Return the letter that byte-level BPE writes for each byte, in CLIP's order.

    Source: ``bytes_to_unicode`` of GPT-2's and CLIP's ``simple_tokenizer.py``.
    """
    visible = (*_PRINTABLE, *_LATIN)
    return [chr(code) for code in visible] + [chr(0x100 + n) for n in range(256 - len(visible))]
