"""Which cases a test runs at, under which names, and where the options come from."""

from __future__ import annotations

import pytest
from benchmark_run import RunBenchmark


def ids(result_text: str) -> list[str]:
    """Return the case ids of ``--collect-only -q``."""
    return [line.split("[", 1)[1][:-1] for line in result_text.splitlines() if "::" in line and "[" in line]


def test_a_test_runs_at_every_point_of_the_grid(run_benchmark: RunBenchmark) -> None:
    """Sizes and counts are crossed, in the order written; a test without a pipeline carries no model."""
    result = run_benchmark("--sd-batch-sizes=1,4", "--sd-batch-counts=2,1", "--collect-only", "-q")

    assert ids(result.text) == [
        "fp32-64x64-s4-b1x2",
        "fp32-64x64-s4-b1x1",
        "fp32-64x64-s4-b4x2",
        "fp32-64x64-s4-b4x1",
    ]


def test_images_make_every_split(run_benchmark: RunBenchmark) -> None:
    """--sd-images=16 is 1x16, 2x8, 4x4, 8x2 and 16x1."""
    result = run_benchmark("--sd-images=16", "--collect-only", "-q")

    assert [case_id.rsplit("-", 1)[1] for case_id in ids(result.text)] == ["b1x16", "b2x8", "b4x4", "b8x2", "b16x1"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytest.ini", "[pytest]\nsd_batch_sizes = 2,3\nsd_steps = 7"),
        ("pytest.ini", "[pytest]\nsd_batch_size =\n    2\n    3\nsd_steps = 7"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nsd_batch_sizes = '2,3'\nsd_steps = 7"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nsd_batch_sizes = [2, 3]\nsd_steps = '7'"),
        ("pyproject.toml", "[tool.pytest]\nsd_batch_sizes = [2, 3]\nsd_steps = 7"),
        ("pyproject.toml", "[tool.pytest]\nsd_batch_sizes = '2,3'\nsd_steps = [7]"),
        ("pytest.toml", "[pytest]\nsd_batch_size = ['2', '3']\nsd_steps = '7'"),
        ("tox.ini", "[pytest]\nsd_batch_sizes = 2,3\nsd_steps = 7"),
    ],
)
def test_a_file_gives_options_as_text_number_or_list(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester, name: str, content: str
) -> None:
    """Every kind of configuration file that pytest reads, in every form of a value that one would write."""
    if pytest.version_tuple < (9,) and ("[tool.pytest]" in content or name == "pytest.toml"):
        pytest.skip("native TOML tables exist since pytest 9")
    (pytester.path / name).write_text(content)

    result = run_benchmark("--collect-only", "-q")

    assert ids(result.text) == ["fp32-64x64-s7-b2x1", "fp32-64x64-s7-b3x1"]


def test_an_empty_value_in_the_file_is_an_error(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """An empty axis is a mistake, not the default."""
    pytester.makeini("[pytest]\nsd_batch_sizes =")

    result = run_benchmark()

    assert result.run.ret == 4
    assert "sd_batch_sizes is empty" in result.text


def test_what_is_typed_wins_over_marker_over_file(run_benchmark: RunBenchmark, pytester: pytest.Pytester) -> None:
    """A flag and -o win over a marker, a marker over the file; the closest marker wins."""
    pytester.makeini("[pytest]\nsd_batch_sizes = 2\nsd_steps = 2\nsd_guidance = 2\nsd_batch_counts = 2")
    source = """
        import pytest

        pytestmark = pytest.mark.sdbatch(batch_sizes=3, steps=3, guidance=3)

        @pytest.mark.sdbatch(steps=4)
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-batch-sizes=5", "-o", "sd_guidance=5", "--collect-only", "-q", source=source)

    assert ids(result.text) == ["fp32-64x64-s4-g5-b5x2"]


def test_a_marker_names_the_model_of_a_test_that_brings_its_own(run_benchmark: RunBenchmark) -> None:
    """Without sd_pipeline a model is only a name, any text, escaped in the id."""
    source = """
        import pytest

        @pytest.mark.sdbatch(models="my app [v2]", batch_sizes=1)
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-models=tiny-sd", source=source)

    assert list(result.records) == ["my%20app%20%5Bv2%5D-own-fp32-64x64-s4-b1x1"]


def test_the_same_parameters_serve_other_plugins(run_benchmark: RunBenchmark) -> None:
    """Parameters are scalars under their names: pytest-benchmark groups by them."""
    result = run_benchmark("--sd-batch-sizes=1,4", "--benchmark-group-by=param:sd_batch_size")

    assert "benchmark 'sd_batch_size=1'" in result.text
    assert "benchmark 'sd_batch_size=4'" in result.text


def test_other_parameters_stay_apart(run_benchmark: RunBenchmark) -> None:
    """A parameter of the user's own makes tests of their own, named without our part."""
    source = """
        import pytest

        @pytest.mark.parametrize("scheduler", ["ddim", "euler"])
        def test_it(sd_benchmark, fake_device, scheduler):
            sd_benchmark(fake_device.generate)
    """
    result = run_benchmark("--sd-batch-sizes=1", source=source)

    result.run.assert_outcomes(passed=2)
    assert "test_it.py::test_it[ddim]" in result.text
    assert "test_it.py::test_it[euler]" in result.text


def test_sd_case_alone_is_enough_to_be_parametrized(run_benchmark: RunBenchmark) -> None:
    """A test that only asks for the case runs at each, and measures nothing."""
    source = """
        def test_it(sd_case):
            assert sd_case.images == sd_case.batch_size * sd_case.batch_count
    """
    result = run_benchmark("--sd-batch-sizes=1,2,4", source=source)

    result.run.assert_outcomes(passed=3)
    assert result.records == {}


def test_benchmark_disable_runs_the_smallest_case_once_and_records_nothing(run_benchmark: RunBenchmark) -> None:
    """The check that benchmarks have not rotted: one call per batch, whatever the grid."""
    source = """
        def test_it(sd_benchmark):
            calls = []
            outputs = sd_benchmark(lambda batch: calls.append(batch.size))
            assert calls == [2]
            assert outputs == [None]
    """
    result = run_benchmark("--sd-batch-sizes=8,2,4", "--benchmark-disable", source=source)

    result.run.assert_outcomes(passed=1)
    assert result.records == {}


def test_the_plan_lists_cases_and_runs_nothing(run_benchmark: RunBenchmark) -> None:
    """--sd-plan prints every case and ends with success."""
    source = """
        def test_it(sd_benchmark):
            raise AssertionError("must not run")
    """
    result = run_benchmark("--sd-batch-sizes=1,4", "--sd-plan", source=source)

    assert result.run.ret == 0
    assert "b4x1" in result.text
    assert "must not run" not in result.text
    assert result.records == {}


def test_the_plan_tells_the_cases_of_two_tests_apart(run_benchmark: RunBenchmark) -> None:
    """Both may measure the same ones: each stand below the name of their test."""
    source = """
        def test_one(sd_benchmark): pass
        def test_other(sd_benchmark): pass
    """
    lines = run_benchmark("--sd-batch-sizes=1", "--sd-plan", source=source).text.splitlines()

    heads = [lines[at - 1].rpartition("::")[2] for at, line in enumerate(lines) if line.endswith("b1x1")]
    assert heads == ["test_one", "test_other"]


def test_the_seed_of_an_image_does_not_depend_on_the_split(run_benchmark: RunBenchmark) -> None:
    """Image k has seed base + k whether it is made alone or in a batch, and each image a generator of its own."""
    source = """
        def test_it(sd_benchmark, fake_device):
            seen = []

            def generate(batch):
                states = {id(generator) for generator in batch.generators}
                seen.append((batch.seeds, [g.initial_seed() for g in batch.generators], len(states)))
                return fake_device.generate(batch)

            sd_benchmark(generate)
            count, size = sd_benchmark.case.batch_count, sd_benchmark.case.batch_size
            last_round = seen[-count:]
            assert [seed for seeds, _, _ in last_round for seed in seeds] == [100, 101, 102, 103]
            assert [seed for _, seeds, _ in last_round for seed in seeds] == [100, 101, 102, 103]
            assert all(different == size for _, _, different in last_round)
    """
    result = run_benchmark("--sd-images=4", "-o", "sd_seed=100", source=source)

    result.run.assert_outcomes(passed=3)


def test_the_plan_gives_times_where_a_stored_run_has_them(run_benchmark: RunBenchmark) -> None:
    """A case that was measured and saved on this device shows what it took; a new one shows no time."""
    run_benchmark("--sd-batch-sizes=1", "--sd-save=main")

    lines = run_benchmark("--sd-batch-sizes=1,2", "--sd-plan").text.splitlines()

    assert any("b1x1  about" in line for line in lines)
    assert any(line.rstrip().endswith("b2x1") for line in lines)


def test_a_damaged_stored_run_gives_no_times_and_is_named(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester
) -> None:
    """The plan is printed all the same, and the file that could not be read is said."""
    run_benchmark("--sd-batch-sizes=1", "--sd-save=main")
    (stored,) = pytester.path.glob("benchmarks/baselines/main/*.json")
    stored.write_text(stored.read_text()[:100])

    result = run_benchmark("--sd-batch-sizes=1", "--sd-plan")

    assert result.run.ret == 0
    assert "not used for times" in result.text
    assert str(stored) in result.text


def test_a_device_of_a_folders_conftest_is_used_whatever_was_typed(pytester: pytest.Pytester) -> None:
    """The hook is called when benchmarks are collected, and by then every conftest has been read."""
    folder = pytester.mkdir("benchmarks")
    (folder / "conftest.py").write_text(
        "from pytest_sdbatch.devices.fake import FakeDevice\n\n"
        "def pytest_sdbatch_make_device(name):\n    return FakeDevice()\n"
    )
    (folder / "test_it.py").write_text("def test_it(sd_case):\n    assert sd_case.device == 'fake'\n")

    pytester.runpytest_inprocess("--sd-batch-sizes=1").assert_outcomes(passed=1)
