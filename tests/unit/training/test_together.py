"""Who is who among processes that train together."""

from __future__ import annotations

import pytest

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.training.together import Together, together


def test_the_place_is_read_from_what_launchers_set() -> None:
    """Without their variables a process is alone; the first one does not follow."""
    second = together({"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"})

    assert (together({}), together({}).follows) == (Together(), False)
    assert second == Together(rank=1, local_rank=1, count=2)
    assert second.follows


@pytest.mark.parametrize("variables", [{"RANK": "x"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"WORLD_SIZE": "0"}])
def test_variables_that_say_no_place_are_refused(variables: dict[str, str]) -> None:
    """Rather than hung up on."""
    with pytest.raises(OptionError, match="is no process of several"):
        together(variables)


@pytest.mark.parametrize("decided", [True, False])
def test_alone_it_decides_itself(decided: bool) -> None:
    """Nobody is asked, and no network is wrapped."""
    assert Together().agree(decided) is decided
    assert Together().wrap("network", "cpu") == "network"
