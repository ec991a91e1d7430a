"""What a project adds by hooks: models, variants, a device. The examples of docs/how-to/extend.md run as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmark_run import Keeper, Result

from pytest_sdbatch import Outcome
from pytest_sdbatch.commands import sweep
from pytest_sdbatch.devices.fake import FakeSensors
from pytest_sdbatch.pipelines import build
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "extend.md"
USAGE_ERROR = 4
SHORT = ("-p", "no:cacheprovider", "-o", "sd_max_seconds=0.05", "-o", "sd_warmup_calls=1")
TEXT_TO_IMAGE = """
    def test_it(sd_benchmark, sd_pipeline):
        sd_benchmark(sd_pipeline)
"""
MODELS = """
    from pytest_sdbatch import Model

    def load(device, dtype):
        {load}

    def pytest_sdbatch_models(config):
        return [Model(name="mine", what="a model", load=load, height=64, width=64, steps=2)]
"""
Run = Callable[..., Result]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest in the project folder, briefly."""

    def run_it(*arguments: str, conftest: str | None = None, source: str | None = None) -> Result:
        if conftest is not None:
            pytester.makeconftest(conftest)
        if source is not None:
            pytester.makepyfile(test_it=source)
        keeper = Keeper()
        return Result(pytester.runpytest_inprocess(*SHORT, *arguments, plugins=[keeper]), keeper.records)

    return run_it


def examples() -> dict[str, tuple[dict[str, str], list[str]]]:
    """Return the files and the commands of each section of the page that has any."""
    found = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        files = re.findall(r"```python\n# (\S+)\n(.*?)```", section, flags=re.DOTALL)
        commands = [
            line
            for block in re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)
            for line in block.splitlines()
        ]
        if files or commands:
            found[section.splitlines()[0]] = (dict(files), commands)
    return found


def write(title: str, pytester: pytest.Pytester) -> list[str]:
    """Write the files of a section and return its commands."""
    files, commands = examples()[title]
    for name, text in files.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    return commands


def follow(title: str, pytester: pytest.Pytester, run: Run) -> list[Result]:
    """Write the files of a section, and run those of its commands that measure."""
    results = []
    for command in write(title, pytester):
        prompt, program, *arguments = shlex.split(command)
        assert prompt == "$"
        if program == "pytest":
            results.append(run(*arguments))
        elif arguments[0] == "sweep":
            results.append(run("--pyargs", "pytest_sdbatch.suite", *arguments[1:]))
        else:
            assert arguments == ["models"]  # tests/unit/test_cli.py runs it
    return results


def test_the_page_has_an_example_of_each_hook() -> None:
    """A hook without an example that runs is not documented."""
    text = {title: "\n".join(files.values()) for title, (files, _) in examples().items()}

    assert list(text) == ["A model", "A variant", "A device", "What a pretended device tells"]
    assert "def pytest_sdbatch_models(config)" in text["A model"]
    assert "def pytest_sdbatch_variants(config)" in text["A variant"]
    assert "def pytest_sdbatch_make_device(name)" in text["A device"]


def test_the_example_of_a_model(pytester: pytest.Pytester, run: Run) -> None:
    """A project's model is measured beside one of the catalog, at its own defaults, under an id of its own."""
    pipeline = build.build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)
    pipeline.save_pretrained(pytester.path / "weights" / "my-sd")

    (result,) = follow("A model", pytester, run)

    result.run.assert_outcomes(passed=4)
    splits = ("b1x1", "b4x1")
    assert list(result.records) == [
        *(f"my-sd-own-fp32-64x64-s4-{split}" for split in splits),
        *(f"tiny-sd-fp32-64x64-s4-{split}" for split in splits),
    ]
    own = result.records["my-sd-own-fp32-64x64-s4-b4x1"]
    assert own.outcome is Outcome.OK
    assert own.weights.kind == "own"
    assert own.derived.scheduler == "EulerDiscreteScheduler"
    assert own.load_s.value is not None


def test_the_example_of_a_variant(pytester: pytest.Pytester, run: Run) -> None:
    """A project's variant changes the pipeline of its own cases only, and joins those that ship."""
    (result,) = follow("A variant", pytester, run)

    result.run.assert_outcomes(passed=3)
    used = {record.case.variant: record.derived for record in result.records.values()}
    assert {name: derived.scheduler for name, derived in used.items()} == {
        "eager": "DDIMScheduler",
        "euler": "EulerDiscreteScheduler",
        "vae-slicing+euler": "EulerDiscreteScheduler",
    }
    assert [derived.vae_slicing for derived in used.values()] == [False, False, True]


def test_the_example_of_a_device(pytester: pytest.Pytester, run: Run) -> None:
    """A project's device is measured by its own clock, and its memory ends where it says."""
    (result,) = follow("A device", pytester, run)

    assert result.outcomes == {"b1x1": "ok", "b4x1": "ok", "b8x1": "ok", "b16x1": "oom"}
    rounds = result.records["fp32-64x64-s4-b4x1"].rounds
    assert [round_.wall_s for round_ in rounds] == pytest.approx([0.9] * len(rounds))


def test_the_example_of_what_a_device_tells(pytester: pytest.Pytester, run: Run) -> None:
    """Energy, clock, heat and the context are in the records; the hot case is throttled, its test passes."""
    (result,) = follow("What a pretended device tells", pytester, run)

    result.run.assert_outcomes(passed=3)
    assert result.outcomes == {"b1x1": "ok", "b2x1": "ok", "b4x1": "throttled"}
    records = list(result.records.values())
    assert [record.joules_per_image for record in records] == pytest.approx([600.0, 450.0, 375.0])
    assert [record.rounds[-1].temperature_celsius for record in records] == [60, 60, 87]
    assert {one.sm_clock_mhz for record in records for one in record.rounds} == {1755}
    assert [record.foreign_processes for record in records] == [0, 0, 0]
    assert all(m and m.context.value == 512 << 20 for m in (record.memory_round for record in records))


def test_the_page_names_every_sensor_and_so_does_its_help() -> None:
    """Whoever pretends a device finds what it can tell without reading the source."""
    page, told = PAGE.read_text(encoding="utf-8"), FakeSensors.__doc__ or ""

    assert [name for name in vars(FakeSensors()) if f"`{name}`" not in page or f" {name}: " not in told] == []


def test_a_device_that_a_project_does_not_know_is_left_to_the_plugin(pytester: pytest.Pytester, run: Run) -> None:
    """The example answers to one name; cpu stays the CPU."""
    write("A device", pytester)

    result = run("--sd-device=cpu", "--sd-batch-sizes=1")

    (record,) = result.records.values()
    assert record.case.device == "cpu"


def test_a_sweep_collects_no_test_of_the_project(run: Run) -> None:
    """The conftest of the current folder counts, its tests do not."""
    result = run(
        "--pyargs", "pytest_sdbatch.suite", "--sd-plan", "--sd-models=mine",
        conftest=MODELS.format(load="raise NotImplementedError"),
        source="def test_own(): raise AssertionError",
    )  # fmt: skip

    assert result.run.ret == 0
    assert "mine-own-fp32-64x64-s2-b1x1" in result.text
    assert "test_own" not in result.text


def test_the_suite_is_what_sweep_runs() -> None:
    """The tests here name it as the command does."""
    assert sweep.SUITE == ("--pyargs", "pytest_sdbatch.suite")


@pytest.mark.parametrize("text", ["mien", "my"])
def test_a_near_name_may_be_a_project_s(run: Run, text: str) -> None:
    """A typing error in the name of one's own model costs one look too."""
    result = run(f"--sd-models={text}", conftest=MODELS.format(load="pass"), source=TEXT_TO_IMAGE)

    assert result.run.ret == USAGE_ERROR
    assert ("did you mean mine" in result.text) == (text == "mien")


def test_a_model_is_loaded_once_for_its_cases(run: Run, pytester: pytest.Pytester) -> None:
    """The loader is called per model, dtype and variant, not per case."""
    load = """
        from pathlib import Path
        from pytest_sdbatch.pipelines import architectures, build
        with Path("loads.txt").open("a") as file:
            print(device, dtype, file=file)
        return build.build(architectures.ARCHITECTURES["tiny-sd"], device=device, dtype="fp32", seed=0)
    """
    result = run(
        "--sd-models=mine", "--sd-batch-sizes=1,2", "--sd-batch-counts=1,2",
        conftest=MODELS.format(load=load.strip()), source=TEXT_TO_IMAGE,
    )  # fmt: skip

    result.run.assert_outcomes(passed=4)
    assert (pytester.path / "loads.txt").read_text().splitlines() == ["cpu torch.float32"]


@pytest.mark.parametrize(
    ("load", "says"),
    [
        ("raise RuntimeError('no weights here')", "RuntimeError: no weights here (conftest.py:"),
        ("return None", "returned nothing"),
        ("return object()", "returned an object of type object"),
    ],
)
def test_a_loader_that_fails_is_a_row_and_one_message(run: Run, load: str, says: str) -> None:
    """The case crashed with the reason and the line of the user's code; the other model is measured."""
    result = run(
        "--sd-models=mine,tiny-sd", "--sd-batch-sizes=1", "--sd-steps=1",
        conftest=MODELS.format(load=load), source=TEXT_TO_IMAGE,
    )  # fmt: skip

    crashed, measured = sorted(result.records.values(), key=lambda record: record.case.model or "")  # mine, tiny-sd
    assert (crashed.outcome, measured.outcome) == (Outcome.CRASHED, Outcome.OK)
    assert crashed.reason is not None
    assert says in crashed.reason
    assert "Traceback" not in result.text
    assert "INTERNALERROR" not in result.text


def test_a_loader_that_runs_out_of_memory_is_out_of_memory(run: Run) -> None:
    """What a project's loader raises is judged like the plugin's own."""
    result = run(
        "--sd-models=mine", "--sd-batch-sizes=1,2",
        conftest=MODELS.format(load="raise MemoryError"), source=TEXT_TO_IMAGE,
    )  # fmt: skip

    assert result.outcomes == {"b1x1": "oom", "b2x1": "skipped"}


def test_a_variant_that_fails_is_a_row_and_one_message(run: Run) -> None:
    """The message names the variant, the pipeline and the line of the user's code."""
    conftest = """
        from pytest_sdbatch import Variant

        def apply(pipeline):
            pipeline.no_such_part.enable()

        def pytest_sdbatch_variants(config):
            return [Variant(name="odd", what="fails", apply=apply)]
    """
    result = run("--sd-variants=odd", "--sd-batch-sizes=1", conftest=conftest, source=TEXT_TO_IMAGE)

    (record,) = result.records.values()
    assert record.outcome is Outcome.CRASHED
    assert record.reason is not None
    assert "variant odd cannot be applied to StableDiffusionPipeline" in record.reason
    assert "AttributeError" in record.reason
    assert "(conftest.py:4)" in record.reason
    assert "Traceback" not in result.text


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("pytest_sdbatch_models(config)", "--sd-models=tiny-sd"),
        ("pytest_sdbatch_variants(config)", "--sd-variants=eager"),
        ("pytest_sdbatch_make_device(name)", "--sd-device=cpu"),
    ],
)
def test_a_hook_that_fails_ends_the_run_with_one_message(run: Run, hook: str, arguments: str) -> None:
    """Exit 4, the hook, the error and its line; no traceback."""
    result = run(arguments, conftest=f"def {hook}:\n    return 1 / 0", source=TEXT_TO_IMAGE)

    assert result.run.ret == USAGE_ERROR
    assert f"the hook {hook.partition('(')[0]} failed" in result.text
    assert "ZeroDivisionError: division by zero (conftest.py:2)" in result.text
    assert "Traceback" not in result.text


def test_a_hook_that_yields_may_fail_late(run: Run) -> None:
    """A generator's error comes when what it gives is taken, and is told like any other."""
    hook = "def pytest_sdbatch_models(config):\n    yield from ()\n    raise ValueError('late')"
    result = run("--sd-models=tiny-sd", conftest=hook, source=TEXT_TO_IMAGE)

    assert result.run.ret == USAGE_ERROR
    assert "the hook pytest_sdbatch_models failed" in result.text
    assert "ValueError: late (conftest.py:3)" in result.text
    assert "Traceback" not in result.text


def test_a_hook_that_fails_does_not_break_runs_that_measure_nothing(pytester: pytest.Pytester) -> None:
    """Where no option of ours is typed, hooks are called for benchmarks only."""
    pytester.makeconftest("def pytest_sdbatch_models(config):\n    return 1 / 0")
    pytester.makepyfile(test_it="def test_plain(): pass")

    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_two_that_give_the_same_name_are_both_named(run: Run, pytester: pytest.Pytester) -> None:
    """A plugin of the project and its conftest clash over a name: the error says whose they are."""
    conftest = "    pytest_plugins = ['their_plugin']" + MODELS.format(load="pass")
    pytester.makepyfile(their_plugin=MODELS.format(load="pass"))
    pytester.syspathinsert()

    result = run("--sd-models=mine", conftest=conftest, source=TEXT_TO_IMAGE)

    assert result.run.ret == USAGE_ERROR
    assert "two models are called 'mine'" in result.text
    why = next(line for line in result.text.splitlines() if line.strip().startswith("why:"))
    assert "conftest.py" in why
    assert "their_plugin" in why


def test_a_name_that_ships_is_refused(run: Run) -> None:
    """sd15 means the same in every project."""
    conftest = MODELS.format(load="pass").replace('"mine"', '"sd15"')

    result = run("--sd-models=sd15", conftest=conftest, source=TEXT_TO_IMAGE)

    assert result.run.ret == USAGE_ERROR
    assert "two models are called 'sd15'" in result.text
    assert "pytest-sdbatch itself" in result.text
