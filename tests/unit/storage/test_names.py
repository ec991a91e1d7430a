"""Names of files out of text that others wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Environment
from pytest_sdbatch.storage.names import baseline_key, device_file, safe_file_name

AWKWARD = [
    "", ".", "..", "../../etc/passwd", "a/b", "a\\b", "C:x", "[x]", "<b>", "a b", "a\x00b", "a\nb", "a.", ".a", "%",
    "~", "%2f", "con", "CON.json", "nul", "lpt1.x", "caf\udce9", "caf\u00e9", "cafe\u0301", "x" * 300, "x" * 301,
    "ABC", "abc", "Abc", "a~b", "%2F",
]  # fmt: skip


@given(text=st.text(max_size=150))
@example(text="nul.txt")
def test_any_text_becomes_a_name_that_stays_in_its_folder(text: str) -> None:
    """Plain characters, no leading or trailing dot, no reserved name, at most 100 characters."""
    name = safe_file_name(text)

    assert re.fullmatch(r"[A-Za-z0-9_+%~-]([A-Za-z0-9._+%~-]{0,98}[A-Za-z0-9_+%~-])?", name)
    assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name, re.IGNORECASE)
    assert Path("folder", name).parent == Path("folder")


@given(texts=st.sets(st.sampled_from(AWKWARD) | st.text("aA.%~/", max_size=4) | st.text(max_size=120), max_size=20))
def test_distinct_texts_stay_distinct(texts: set[str]) -> None:
    """No two texts share a name, also where the file system ignores case."""
    assert len({safe_file_name(text).lower() for text in texts}) == len(texts)


def test_awkward_texts_stay_distinct() -> None:
    """The same for the list of awkward ones, all at once."""
    assert len({safe_file_name(text).lower() for text in AWKWARD}) == len(AWKWARD)


def test_plain_text_is_its_own_name() -> None:
    """A case id reads as itself."""
    assert safe_file_name("tiny-sd-fp32-64x64-s4-b1x1") == "tiny-sd-fp32-64x64-s4-b1x1"


def environment(**must_match: str | int) -> Environment:
    """Return where a run happened."""
    return Environment(must_match=must_match, drift={}, shown={})


def test_a_baseline_lies_by_name_and_device() -> None:
    """`<name>/<device>-<uuid8>.json`; what must match decides the eight digits, its order does not."""
    here = environment(device_name="NVIDIA H100 80GB HBM3 / x", power_limit=700)
    key = baseline_key("main", here)

    assert re.fullmatch(r"main/nvidia-h100-80gb-hbm3-x-[0-9a-f]{8}\.json", key)
    assert key == f"main/{device_file(here)}"
    assert key == baseline_key("main", environment(power_limit=700, device_name="NVIDIA H100 80GB HBM3 / x"))
    other = environment(device_name="NVIDIA H100 80GB HBM3 / x", power_limit=500)
    assert key != baseline_key("main", other)


def test_a_device_without_a_name_has_a_file_too() -> None:
    """Unknown devices are called device."""
    assert baseline_key("main", environment()).startswith("main/device-")


@pytest.mark.parametrize("name", ["main", "v1.2", "pr-12_3", "x", "A" * 64])
def test_plain_names_of_baselines_are_taken(name: str) -> None:
    """Letters, digits, dots, dashes."""
    assert baseline_key(name, environment()).partition("/")[0] == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "a/b", "../a", "/etc", ".hidden", "a\\b", "C:", "a b", "a\n", "a.", "-x", "nul", "CON.x",
     "A" * 65, "caf\u00e9"],
)  # fmt: skip
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    """A name of a baseline is one plain folder name on every system."""
    with pytest.raises(RunFileError, match="is no name for a stored run"):
        baseline_key(name, environment())
