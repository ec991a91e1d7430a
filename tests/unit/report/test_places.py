"""Where runs were made."""

from __future__ import annotations

from reported import reported, run

from pytest_sdbatch.report.places import fact_rows, side_by_side, unknown


def test_what_differs_comes_first_and_what_nobody_knows_is_left_out() -> None:
    """Of each kind the heaviest first."""
    found = fact_rows(reported([run()], [run(where={"driver": "590.1", "device_name": "NVIDIA L4"})]).sources)

    assert [(row.name, row.values) for row in found if row.differs] == [
        ("device name", ("NVIDIA H100 80GB HBM3", "NVIDIA L4")),
        ("driver", ("580.65.06", "590.1")),
    ]
    assert [row.differs for row in found] == sorted((row.differs for row in found), reverse=True)
    assert ("uncommitted changes", ("none", "none")) in [(row.name, row.values) for row in found]
    assert not [row for row in fact_rows(reported([run(where={"commit": None})]).sources) if row.name == "commit"]


def test_what_is_not_known_has_its_reason() -> None:
    """Once for all figures that share it."""
    assert list(unknown(reported([run()]).sources[0])) == ["ecc errors: the driver does not tell"]


def test_devices_of_one_kind_are_set_side_by_side() -> None:
    """How far they lie apart on the same cases; nothing of one device, or of several kinds."""
    one, other = run(where={"device_uuid": "a"}), run(where={"device_uuid": "b"})
    (said,) = side_by_side(reported([one], [other]).sources)

    assert said.startswith("NVIDIA H100 80GB HBM3: the same ")
    assert " on 2 of them: 0 % between the fastest and the slowest" in said
    assert not list(side_by_side(reported([one], [run(where={"device_uuid": "a"})]).sources))
    other_kind = run(where={"device_uuid": "b", "device_name": "NVIDIA L4"})
    assert not list(side_by_side(reported([one], [other_kind]).sources))
