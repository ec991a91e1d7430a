"""Where the baseline lies that a run names, and what is said where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from configured import host_with
from reported import run
from stores import URL, Scripted, raising

from pytest_sdbatch.bridges import baseline
from pytest_sdbatch.errors import BaselineError
from pytest_sdbatch.storage.run_file import write_run


def test_a_file_is_taken_by_its_suffix(pytester: pytest.Pytester) -> None:
    """From where pytest was called; its runs are those of a side, in the words of its file."""
    write_run(pytester.path / "then.json", [run()])

    (found,) = baseline.read(host_with(pytester, "--sd-baseline=then.json"), "then.json")

    assert found.file.endswith("then.json")
    assert found.cases


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("then.json", "no baseline ", "record one: sdbatch sweep --processes=5 --sd-report=then.json -- "),
        ("main", "no baseline main of this device", "record one: sdbatch sweep --processes=5 --sd-save=main -- "),
        (":main", "--sd-baseline=:main names no commit before its colon", "write --sd-baseline=REF:main"),
    ],
)
def test_what_is_missing_says_how_it_is_recorded(pytester: pytest.Pytester, name: str, what: str, fix: str) -> None:
    """With the arguments of this run, so that the command can be copied; a commit that is empty is no commit."""
    host = host_with(pytester, f"--sd-baseline={name}", "-k", "fast")

    for refuse in (lambda: baseline.look_for(host), lambda: baseline.read(host, name)):
        with pytest.raises(BaselineError) as caught:
            refuse()
        assert caught.value.what.startswith(what)
        assert caught.value.fix.startswith(fix)
    assert name == ":main" or "-k fast" in caught.value.fix


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [
        (None, "no baseline ", "name a baseline, such as main, or a run file, which ends in .json"),
        ("<!doctype html>\n<!-- a report of pytest-sdbatch: ", "--sd-baseline=new.html: ", "name the run file itself"),
    ],
)
def test_a_file_of_another_kind_is_no_name(pytester: pytest.Pytester, content: str | None, what: str, fix: str) -> None:
    """What it is says more than that no baseline is called so."""
    if content is not None:
        (pytester.path / "new.html").write_text(content)

    with pytest.raises(BaselineError) as caught:
        baseline.look_for(host_with(pytester, "--sd-baseline=new.html"))

    assert caught.value.what.startswith(what)
    assert caught.value.fix.startswith(fix)


def test_what_is_stored_for_some_device_is_named(pytester: pytest.Pytester) -> None:
    """A name that was mistyped is seen beside those that are there; which device it was is known later."""
    stored = pytester.path / "benchmarks" / "baselines" / "main" / "other-device.json"
    stored.parent.mkdir(parents=True)
    stored.touch()

    baseline.look_for(host_with(pytester, "--sd-baseline=main"))
    with pytest.raises(BaselineError) as caught:
        baseline.look_for(host_with(pytester, "--sd-baseline=mian"))

    assert caught.value.why.endswith("stored for some device: main")
    assert caught.value.fix is not None
    assert caught.value.fix.startswith("did you mean main? Else record one: sdbatch sweep")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("benchmarks/baselines/main", "did you mean --sd-baseline=main?"),
        ("HEAD:benchmarks/baselines/main", "did you mean --sd-baseline=HEAD:main?"),
        ("benchmarks/runs", "did you mean --sd-baseline=benchmarks/runs/then.json?"),
        (".", "name what is stored: main"),
    ],
)
def test_a_folder_is_refused_at_once_with_what_was_meant(pytester: pytest.Pytester, name: str, fix: str) -> None:
    """A name stands for a folder of baselines, and no path does."""
    for file in ("baselines/main/device.json", "runs/then.json"):
        path = pytester.path / "benchmarks" / file
        path.parent.mkdir(parents=True)
        path.touch()

    with pytest.raises(BaselineError) as caught:
        baseline.look_for(host_with(pytester, f"--sd-baseline={name}"))

    assert caught.value.what == f"--sd-baseline={name}: a folder, not a name"
    assert caught.value.fix == fix


def test_a_name_that_only_a_file_gives_is_not_looked_for_early(pytester: pytest.Pytester) -> None:
    """A project's unit tests must not fail over a baseline that they do not need."""
    pytester.makeini("[pytest]\nsd_baseline = nowhere.json\n")

    baseline.look_for(host_with(pytester))


@pytest.mark.parametrize("text", ["{}", "no json", '{"benchmarks": []}'])
def test_a_file_that_holds_nothing_is_named_with_its_option(pytester: pytest.Pytester, text: str) -> None:
    """Whatever is wrong with it, who typed the name is told."""
    Path("then.json").write_text(text)

    with pytest.raises(BaselineError, match=r"--sd-baseline=then\.json: "):
        baseline.read(host_with(pytester), "then.json")


def test_outside_of_ci_the_tree_may_bring_its_baseline(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under CI one that git tracks may be the pull request's; a file or a commit was chosen by who typed it."""
    host = host_with(pytester)
    monkeypatch.delenv("CI", raising=False)
    assert list(baseline.own_words(host, "main")) == []
    monkeypatch.setenv("CI", "true")
    assert [word for name in ("a.json", "HEAD:main") for word in baseline.own_words(host, name)] == []


IN_STORE = ("-o", f"sd_baselines={URL}")


def test_a_baseline_in_a_store_is_that_of_its_object(
    pytester: pytest.Pytester, scripted: type[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found before pytest begins, read once the device is known, called by the URL of what will never change."""
    host = host_with(pytester, "--sd-baseline=main", *IN_STORE)
    host.baselines.write(host.baseline_key("main"), [run()])
    monkeypatch.setenv("CI", "true")

    baseline.look_for(host)
    (found,) = baseline.read(host, "main")

    assert found.cases
    assert found.file.rpartition("/")[0] == f"{URL}/{host.baseline_key('main').removesuffix('.json')}"
    assert list(baseline.own_words(host, "main")) == []


def test_under_ci_a_store_that_the_tree_names_is_said(
    pytester: pytest.Pytester, scripted: type[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull request may name one of its author; one that the job names is nobody's to change."""
    pytester.makeini(f"[pytest]\nsd_baselines = {URL}\n")
    host, named = host_with(pytester), host_with(pytester, *IN_STORE)
    monkeypatch.delenv("CI", raising=False)
    assert list(baseline.own_words(host, "main")) == []
    monkeypatch.setenv("CI", "true")

    (word,) = baseline.own_words(host, "main")
    assert word == f"where baselines lie comes from this tree; name it in the job: {' '.join(IN_STORE)}"
    assert list(baseline.own_words(named, "main")) == []
    assert list(baseline.own_words(host, "then.json")) == []


def test_what_is_missing_in_a_store_is_recorded_into_it(pytester: pytest.Pytester, scripted: type[Scripted]) -> None:
    """The command has the URL; beside it stand the names that are there."""
    host = host_with(pytester, "--sd-baseline=mian", *IN_STORE)
    host.baselines.write("main/other-device.json", [run()])

    for refuse in (lambda: baseline.look_for(host), lambda: baseline.read(host, "mian")):
        with pytest.raises(BaselineError) as caught:
            refuse()
        assert caught.value.why.startswith(f"{URL}/mian")
        assert caught.value.why.endswith(" does not exist; stored for some device: main")
        assert caught.value.fix.startswith(
            "did you mean main? Else record one: sdbatch sweep --processes=5 --sd-save=mian -- "
        )
        assert " ".join(IN_STORE) in caught.value.fix


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        (
            "origin/main:main",
            f"--sd-baseline=origin/main:main: no commit has what lies at {URL}",
            "write --sd-baseline=main",
        ),
        (":main", f"--sd-baseline=:main: no commit has what lies at {URL}", "write --sd-baseline=main"),
        (
            "s3://u:hunter2@b/main.json",
            "--sd-baseline: a URL is no name of a baseline",
            "say where baselines lie by -o",
        ),
    ],
)
def test_a_commit_or_a_url_does_not_name_what_a_store_has(
    pytester: pytest.Pytester, scripted: type[Scripted], name: str, what: str, fix: str
) -> None:
    """A store is in no commit; and where baselines lie is one option, which one is meant another."""
    host = host_with(pytester, f"--sd-baseline={name}", *IN_STORE)

    for refuse in (lambda: baseline.look_for(host), lambda: baseline.read(host, name)):
        with pytest.raises(BaselineError) as caught:
            refuse()
        assert caught.value.what == what
        assert caught.value.fix.startswith(fix)
        assert "hunter2" not in str(caught.value)


def test_a_store_that_refuses_is_an_error_of_the_baseline(pytester: pytest.Pytester, scripted: type[Scripted]) -> None:
    """Exit status 12, whichever of the questions it does not answer."""
    host = host_with(pytester, "--sd-baseline=main", *IN_STORE)
    host.baselines.write(host.baseline_key("main"), [run()])
    scripted.before = raising(PermissionError("Access Denied"))

    for refuse, done in ((lambda: baseline.look_for(host), "listed"), (lambda: baseline.read(host, "main"), "read")):
        with pytest.raises(BaselineError) as caught:
            refuse()
        assert caught.value.what.startswith(f"--sd-baseline=main: {URL}/main")
        assert caught.value.what.endswith(f" may not be {done}")
        assert caught.value.why == "the store refuses it: PermissionError: Access Denied"
