"""Runs of several files, grouped by what answers together, each group with a name."""

from __future__ import annotations

from reported import reported, run


def names(*files: list[object]) -> list[str]:
    """Return the names of the sources of these files."""
    return [source.name for source in reported(*files).sources]  # type: ignore[arg-type]


def test_runs_of_one_place_and_commit_answer_together_whatever_file_they_lie_in() -> None:
    """Five processes are one source, in one file or in five."""
    (source,) = reported([run(number=1), run(number=2)], [run(number=3)]).sources

    assert len(source.runs) == 3
    assert source.files == ("run0.json", "run1.json")
    assert source.name == "NVIDIA H100 80GB HBM3"


def test_two_devices_are_told_apart_by_their_names() -> None:
    """What they share is not said."""
    assert names([run()], [run(number=1, where={"device_name": "NVIDIA L4"})]) == ["NVIDIA H100 80GB HBM3", "NVIDIA L4"]


def test_two_commits_of_one_device_are_told_apart_by_commit() -> None:
    """Ten digits of it do."""
    assert names([run()], [run(number=1, where={"commit": "ffff00001111"})]) == [
        "NVIDIA H100 80GB HBM3, 0123abcdef",
        "NVIDIA H100 80GB HBM3, ffff000011",
    ]


def test_code_that_is_not_committed_may_have_changed_between_files() -> None:
    """Each file stands for itself; so it does where no commit is known."""
    dirty = {"dirty": True}
    assert names([run(where=dirty)], [run(number=1, where=dirty)]) == [
        "NVIDIA H100 80GB HBM3, run0.json",
        "NVIDIA H100 80GB HBM3, run1.json",
    ]
    nowhere = {"commit": None, "dirty": None}
    assert len(names([run(where=nowhere)], [run(number=1, where=nowhere)])) == 2
    assert len(names([run(where=nowhere), run(number=1, where=nowhere)])) == 1


def test_what_nothing_but_their_order_tells_apart_is_numbered() -> None:
    """A driver that moved between two runs of one file has no place in a name."""
    found = names([run(), run(where={"driver": "590.1"})])

    assert found == ["NVIDIA H100 80GB HBM3 (1)", "NVIDIA H100 80GB HBM3 (2)"]


def test_a_name_is_one_harmless_line() -> None:
    """A device's name comes from a driver, or from a file that somebody sent."""
    (name,) = names([run(where={"device_name": "a\x1b[31m\nb" + "c" * 100})])

    assert name.startswith("a\\x1b[31m bcc")
    assert len(name) == 48
