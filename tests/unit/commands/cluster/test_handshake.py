"""What every node must have before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from clusters import FakeCluster, result

from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.handshake import PACKAGES, check_paths, check_versions, own_facts
from pytest_sdbatch.commands.cluster.machines import Facts

HERE = Facts(python="3.12", versions={**dict.fromkeys(PACKAGES, "1.0"), "torch": "2.13.0+cpu"})


def cluster(**facts: Facts | str) -> FakeCluster:
    """Return a cluster whose nodes say *facts* of themselves."""
    made = FakeCluster(*facts, work=lambda task, name: result())
    made.facts.update(facts)
    return made


def versions(**changes: str | None) -> Mapping[str, str | None]:
    """Return what is installed here, but for *changes*."""
    return {**HERE.versions, **changes}


def test_nodes_like_this_machine_are_taken() -> None:
    """A build for another device is the same version."""
    there = cluster(a=HERE, b=replace(HERE, versions=versions(torch="2.13.0+cu130")))

    check_versions(there, there.nodes(), HERE, folder=".")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"python": "3.11"}, "b: Python 3.11, here 3.12"),
        ({"versions": versions(diffusers="0.9")}, "b: diffusers 0.9, here 1.0"),
        ({"versions": versions(torch="2.12.0")}, "b: torch 2.12.0, here 2.13.0"),
        ({"versions": {**HERE.versions, "pytest-sdbatch": None}}, "b: no pytest-sdbatch, here 1.0"),
    ],
)
def test_a_node_with_another_version_is_named(changes: dict[str, Any], said: str) -> None:
    """With both of them, and no other node."""
    there = cluster(a=HERE, b=replace(HERE, **changes))

    with pytest.raises(ClusterError, match="1 node of 2 cannot run what this machine would") as raised:
        check_versions(there, there.nodes(), HERE, folder=".")

    assert raised.value.why == said


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Nobody wants to mend one node at a time; one that cannot answer says why."""
    there = cluster(a="it did not answer", b=replace(HERE, python="3.11", versions=versions(pytest="8.0")))

    with pytest.raises(ClusterError, match="2 nodes of 2") as raised:
        check_versions(there, there.nodes(), HERE, folder=".")

    assert raised.value.why == "a: it did not answer\nb: Python 3.11, here 3.12\nb: pytest 8.0, here 1.0"


def test_a_node_without_a_folder_of_weights_is_named() -> None:
    """Any node may get the group that loads it."""
    there = cluster(a=HERE, b=replace(HERE, missing=("/models/own",)))

    with pytest.raises(ClusterError, match="1 node of 2 cannot load a model") as raised:
        check_paths(there, there.nodes(), ["/models/own"], folder=".")

    assert raised.value.why == "b: no /models/own"


def test_without_such_folders_no_node_is_asked() -> None:
    """It takes a second or two."""
    there = cluster(a="it would say no")

    check_paths(there, there.nodes(), [], folder=".")


def test_this_machine_knows_what_it_has() -> None:
    """Of every package that decides on a figure."""
    facts = own_facts()

    assert facts.python.count(".") == 1
    assert all(facts.versions[name] for name in PACKAGES)
