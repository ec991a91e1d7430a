"""What no measurement gives is refused on the way in and on the way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Environment, Record, Run
from pytest_sdbatch.storage.codec import decode_header, decode_record, encode_header, encode_record


@pytest.mark.parametrize("key", ["test_outcome", "parallel"])
def test_a_missing_claim_is_not_taken_for_granted(make_record: Callable[..., Record], key: str) -> None:
    """Their defaults say that all was well, and not that it is unknown."""
    encoded = encode_record(make_record(0.5))
    del encoded[key]

    with pytest.raises(RunFileError, match=rf"record\.{key}: missing"):
        decode_record(encoded)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory_source", "peak_alocated_bytes"),
        ("memory_source", "wall_ns"),
        ("process_bytes", {"value": -1}),
        ("process_bytes", {"value": 1.5}),
        ("model_bytes", {"value": -1}),
    ],
)
def test_what_no_writer_writes_is_refused(make_record: Callable[..., Record], key: str, value: object) -> None:
    """Memory is a whole number of bytes, in one of the measures that a round has."""
    with pytest.raises(RunFileError, match=rf"record\.{key}"):
        decode_record({**encode_record(make_record(0.5)), key: value})


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2", None])
def test_a_run_of_no_number_of_workers_is_refused(workers: Any) -> None:
    """On the way in and on the way out."""
    sound = Run(
        id="a",
        started_at="2026-11-23T10:15:00+00:00",
        environment=Environment(must_match={"parallel": 2}, drift={}, shown={}),
        options={},
        records=(),
    )
    encoded = encode_header(sound)
    encoded["environment"]["must_match"]["parallel"] = workers
    unsound = replace(sound, environment=replace(sound.environment, must_match={"parallel": workers}))

    with pytest.raises(RunFileError, match=r"run\.environment\.must_match\.parallel"):
        decode_header(encoded)
    with pytest.raises(RunFileError, match=r"run\.environment\.must_match\.parallel"):
        encode_header(unsound)


def test_whether_a_run_was_interrupted_must_be_said() -> None:
    """A file that does not say it is not whole."""
    header = {"id": "a", "started_at": "x", "options": {}, "environment": {"must_match": {}, "drift": {}, "shown": {}}}

    with pytest.raises(RunFileError, match=r"run\.interrupted: missing"):
        decode_header(header)
