"""Errors that say memory ran out, and those that do not."""

from __future__ import annotations

import errno

import pytest
import torch

from pytest_sdbatch.devices.cuda import GPU_WORDS
from pytest_sdbatch.devices.out_of_memory import says_out_of_memory


def test_what_the_cpu_allocator_of_torch_raises_is_recognized() -> None:
    """A tensor larger than any address space fails in torch's CPU allocator, and that is out of memory."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)

    assert says_out_of_memory(caught.value)


def test_a_size_that_overflows_is_a_mistake_and_not_out_of_memory() -> None:
    """A tensor whose size has no number fails for another reason than memory."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62)

    assert not says_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] data. DefaultCPUAllocator: not enough memory: you tried ..."),
    ],
)
def test_the_usual_errors_are_recognized(error: Exception) -> None:
    """Python's, torch's and the system's out-of-memory errors count, whatever their class."""
    assert says_out_of_memory(error)


@pytest.mark.parametrize("word", GPU_WORDS)
def test_words_of_gpu_libraries_count_only_where_they_are_asked_for(word: str) -> None:
    """A cuBLAS message is out of memory on the GPU device; a CPU never says it."""
    error = RuntimeError(f"{word} when calling `cublasCreate(handle)`")

    assert says_out_of_memory(error, words=GPU_WORDS)
    assert not says_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("CUDA out of memory"), RuntimeError("shape mismatch"), OSError(2, "no")])
def test_other_errors_are_not(error: Exception) -> None:
    """Words count in a RuntimeError only, and other errors not at all."""
    assert not says_out_of_memory(error, words=GPU_WORDS)


def test_an_error_raised_from_out_of_memory_says_it_too() -> None:
    """A library that wraps the error names it as the cause; an error that merely came up while handling it does not."""
    with pytest.raises(RuntimeError) as wrapped:
        _wrap()
    with pytest.raises(RuntimeError) as beside:
        _fail_while_handling()

    assert says_out_of_memory(wrapped.value)
    assert not says_out_of_memory(beside.value)


def test_a_skip_is_never_out_of_memory() -> None:
    """pytest.skip() raised because memory ran out stays a skip."""
    with pytest.raises(pytest.skip.Exception) as skipped:
        _skip()

    assert not says_out_of_memory(skipped.value)


def _wrap() -> None:
    try:
        raise MemoryError
    except MemoryError as error:
        raise RuntimeError("generation failed") from error


def _fail_while_handling() -> None:
    try:
        raise MemoryError
    except MemoryError:
        raise RuntimeError("another defect")  # noqa: B904 - the point of the test


def _skip() -> None:
    try:
        raise MemoryError
    except MemoryError as error:
        raise pytest.skip.Exception("does not fit here") from error
