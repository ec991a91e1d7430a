"""Tokenizers without a download: they spell prompts in letters and give as many tokens as the trained ones.

The number of tokens is what takes time and memory. CLIP's and T5's are padded to a fixed length, so letters do. Qwen's
are not, and its pipeline cuts off the first 34 tokens of a fixed introduction: those words are whole tokens here too.
"""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.pipelines.architectures.entry import Tokenizer
from pytest_sdbatch.pipelines.architectures.parts import CLIP_END_ID, CLIP_LENGTH, CLIP_START_ID, CLIP_VOCABULARY
from pytest_sdbatch.pipelines.architectures.qwen_image import QWEN_END_OF_TEXT_ID, QWEN_VOCABULARY

_WORD_END = "</w>"
_CLIP_MARKS = ("<|startoftext|>", "<|endoftext|>")
_T5_MARKS = ("<pad>", "</s>", "<unk>")
_T5_SPACE = "\u2581"
_QWEN_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN_SPACE = "\u0120"  # how byte-level BPE writes a space
# Of the text that QwenImagePipeline puts around every prompt.
_QWEN_WORDS = (
    *("the", "image", "by", "detailing", "color", "shape", "size", "texture", "quantity", "text", "spatial"),
    *("relationships", "of", "objects", "and", "background"),
)
_QWEN_FIRST_WORDS = ("system", "Describe", "user", "assistant")  # of their lines: no space before them
_PRINTABLE = tuple(range(0x21, 0x7F))  # the 94 visible characters of ASCII
_LATIN = (*range(0xA1, 0xAD), *range(0xAE, 0x100))


def make_tokenizer(recipe: Tokenizer) -> Any:
    """Return the tokenizer of *recipe*, an object of transformers."""
    if recipe.kind == "clip":
        return clip_tokenizer(recipe.vocabulary, length=recipe.length)
    if recipe.kind == "t5":
        return t5_tokenizer(recipe.vocabulary, length=recipe.length)
    return qwen2_tokenizer(recipe.vocabulary, length=recipe.length)


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
    _check_size(size, 2 * len(letters) + 2)
    tokens = [*letters, *(letter + _WORD_END for letter in letters)]
    return {token: number for number, token in enumerate(tokens)} | dict(zip(_CLIP_MARKS, marks, strict=True))


def clip_tokenizer(size: int, *, length: int = CLIP_LENGTH) -> Any:
    """Return a ``transformers.CLIPTokenizer`` over :func:`clip_vocabulary`, made in memory."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(vocab=clip_vocabulary(size), merges=[], model_max_length=length)


def t5_tokenizer(size: int, *, length: int) -> Any:
    """Return a ``transformers.T5Tokenizer`` of letters for a T5 or UMT5 with *size* rows in its embedding.

    Padding, end and unknown have the ids 0, 1 and 2 of the trained ones; prompts end with the end mark.

    Raises:
        ValueError: for a size that does not hold the letters.

    """
    from transformers import T5Tokenizer

    letters = [_T5_SPACE, *(chr(code) for code in _PRINTABLE)]
    _check_size(size, len(_T5_MARKS) + len(letters))
    # Equal scores: no letter is a part of another, so there is one way to spell a word.
    vocabulary = [(mark, 0.0) for mark in _T5_MARKS] + [(letter, -1.0) for letter in letters]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=length)


def qwen2_tokenizer(size: int, *, length: int) -> Any:
    """Return a ``transformers.Qwen2Tokenizer`` of bytes, and of the words of Qwen-Image's introduction.

    Raises:
        ValueError: for a size that does not hold them.

    """
    from transformers import Qwen2Tokenizer

    letters = _byte_letters()
    # The words after a space first: their beginnings are merged before anything within them.
    merges = _merges((*(_QWEN_SPACE + word for word in _QWEN_WORDS), *_QWEN_FIRST_WORDS))
    tokens = [*letters, *(left + right for left, right in merges)]
    _check_size(size, len(tokens) + len(_QWEN_MARKS))
    first_mark = QWEN_END_OF_TEXT_ID if size == QWEN_VOCABULARY else size - len(_QWEN_MARKS)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    vocabulary |= {mark: first_mark + number for number, mark in enumerate(_QWEN_MARKS)}
    end_of_text, start, end = _QWEN_MARKS
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        eos_token=end,
        pad_token=end_of_text,
        additional_special_tokens=[start, end],
        model_max_length=length,
    )


def _merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the merges by which byte-level BPE makes each of *words*, letter by letter from its beginning."""
    pairs = [(word[:end], word[end]) for word in words for end in range(1, len(word))]
    return list(dict.fromkeys(pairs))


def _check_size(size: int, needed: int) -> None:
    if size < needed:
        raise ValueError(f"a vocabulary of {size} does not hold {needed} tokens")


def _byte_letters() -> list[str]:
    """Return the letter that byte-level BPE writes for each byte, in the order of GPT-2, CLIP and Qwen.

    Source: ``bytes_to_unicode`` of GPT-2's and CLIP's ``simple_tokenizer.py``.
    """
    visible = (*_PRINTABLE, *_LATIN)
    return [chr(code) for code in visible] + [chr(0x100 + n) for n in range(256 - len(visible))]
