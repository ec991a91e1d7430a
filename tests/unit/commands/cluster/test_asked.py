"""What a sweep on a cluster may be asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from configured import host_with
from reported import record, run

from pytest_sdbatch.commands.cluster.asked import ask, check_files
from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.storage.run_file import write_run


def test_the_project_is_sent_and_pytest_called_where_it_was(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the root of the project, where its configuration lies."""
    pytester.makeini("[pytest]\n")
    here = pytester.mkdir("benchmarks")
    monkeypatch.chdir(here)

    asked = ask(host_with(pytester, "--sd-report=run.json", "--sd-device=cuda", "-k", "fast", "--sd-resume"))

    assert (asked.root, asked.folder) == (pytester.path.resolve(), "benchmarks")
    assert (asked.device, asked.resume, asked.reports) == ("cuda", True, (here / "run.json",))
    assert asked.selection.endswith("-k fast")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sd-save=main",), "--sd-save with --on"),
        (("--sd-baseline=main.json",), "--sd-baseline with --on"),
        (("-o", "sd_shard=1/2"), "-o sd_shard with --on"),
        (("-x",), "-x, or --maxfail, with --on"),
        (("-p", "cacheprovider", "--lf"), "--lf, or --ff, with --on"),
        (("--pdb",), "--pdb, or --trace, with --on"),
        (("--benchmark-disable",), "--benchmark-disable with --on"),
        (("--sd-device=cuda:1",), "--sd-device=cuda:1 with --on"),
    ],
)
def test_what_is_for_one_process_on_one_machine_is_refused(
    pytester: pytest.Pytester, words: tuple[str, ...], said: str
) -> None:
    """Each says what to do instead."""
    host = host_with(pytester, *words)

    with pytest.raises(OptionError, match=said) as raised:
        ask(host)

    assert raised.value.fix


def test_what_other_plugins_write_stays_on_the_nodes(pytester: pytest.Pytester) -> None:
    """It may stand in the configuration, so it is said, and not refused."""
    pytester.makeini("[pytest]\naddopts = --junitxml=report.xml\n")

    assert ask(host_with(pytester)).stays == ("--junitxml",)


def test_what_a_file_holds_a_plain_run_to_is_not_looked_for(pytester: pytest.Pytester) -> None:
    """It is for a plain pytest."""
    pytester.makeini("[pytest]\nsd_baseline = none\nsd_gate = yes\nsd_save = main\n")

    assert ask(host_with(pytester)).options.text("baseline") is None


def test_a_model_may_lie_on_the_nodes_alone(pytester: pytest.Pytester) -> None:
    """Whether it does is asked there."""
    host = host_with(pytester)
    host.options = host_with(pytester, "-o", "sd_models=tiny-sd").options
    changed = dataclasses.replace(host.options.settings["models"], text="/models/own")
    host.options = dataclasses.replace(host.options, settings={**host.options.settings, "models": changed})

    assert ask(host).options.text("models") == "/models/own"


def test_a_file_that_exists_is_refused_at_once(pytester: pytest.Pytester) -> None:
    """Before the project is sent."""
    host = host_with(pytester, "--sd-report=run.json")
    Path("run.json").touch()

    with pytest.raises(RunFileError, match="exists"):
        ask(host)


def test_the_file_that_an_interrupted_sweep_left_is_completed(pytester: pytest.Pytester) -> None:
    """One that holds another run is not."""
    asked = ask(host_with(pytester, "--sd-report=run.json", "--sd-resume"))
    one, other = run(record(1), number=1), run(record(2), number=2)
    path = write_run(pytester.path / "run.json", [one])

    assert check_files(asked, [one, other]) == (path,)
    with pytest.raises(RunFileError, match="exists"):
        check_files(asked, [other])
