"""A document of bounded size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.report.bounded import Bounded


@given(st.integers(0, 60), st.lists(st.lists(st.text("aä\U0001f600", max_size=9), max_size=3), max_size=6))
def test_it_never_has_more_bytes_and_keeps_blocks_whole(most: int, blocks: list[list[str]]) -> None:
    """What is added stands in it in order and complete; the rest is counted by who asked."""
    made = Bounded(most)

    added = made.add_blocks(blocks)

    text = made.text()
    assert len(text.encode()) == most - made.left <= most
    assert text == "".join(f"{line}\n" for block in blocks[:added] for line in block)
    assert added == len(blocks) or len("".join(f"{line}\n" for line in blocks[added]).encode()) > made.left


def test_room_is_kept_for_what_follows() -> None:
    """Blocks leave what they were told to leave; a later line takes it."""
    made = Bounded(10)

    assert made.add_blocks([["abc"], ["def"]], keep=4) == 1
    assert made.add("ghijk")
    assert not made.add("")
    assert made.text() == "abc\nghijk\n"
