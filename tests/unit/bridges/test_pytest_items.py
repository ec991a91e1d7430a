"""What is known of a benchmark by its node id alone."""

from __future__ import annotations

import pytest

from pytest_sdbatch.bridges.pytest_items import read_node_id


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        ("test_it.py::test_generate[{id}]", "test_it.py::test_generate"),
        ("a[1]/test_it.py::TestIt::test_generate[{id}-mine-2]", "a[1]/test_it.py::TestIt::test_generate[mine-2]"),
        ("test_it.py::test_generate[{id}]@gpu0", "test_it.py::test_generate"),
        ("test_it.py::test_generate[{id}-mine]@gpu0", "test_it.py::test_generate[mine]"),
    ],
)
def test_a_node_id_names_test_and_case(node_id: str, name: str) -> None:
    """Parameters of a test's own belong to its name; the group that pytest-xdist writes behind does not."""
    case_id = "tiny-sd-fp32-64x64-s4-b2x1"

    named = read_node_id(node_id.format(id=case_id), "cpu")

    assert named is not None
    assert named[0] == name
    assert named[1].id == case_id


@pytest.mark.parametrize("node_id", ["test_it.py::test_plain", "test_it.py::test_plain[64x64]", "test_it.py"])
def test_other_tests_are_no_benchmarks(node_id: str) -> None:
    """Nothing is made of a node id that holds no case."""
    assert read_node_id(node_id, "cpu") is None
