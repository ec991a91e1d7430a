"""The example of docs/how-to/parity.md, as a user would run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmark_run import RunBenchmark

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "parity.md"


def test_the_page_on_parity_works_as_written(pytester: pytest.Pytester) -> None:
    """Its code passes at the command line that it gives."""
    text = PAGE.read_text(encoding="utf-8")
    pytester.makepyfile(test_parity="\n\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    (command,) = re.findall(r"^\$ pytest (.*)$", text, re.MULTILINE)

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--sd-device=cpu", *command.split())

    result.assert_outcomes(passed=2)


def test_an_assertion_shows_what_differs(run_benchmark: RunBenchmark) -> None:
    """``assert parity.agrees, parity`` says in pytest's output what printing it says, nothing cut out."""
    source = """
        import numpy as np
        from pytest_sdbatch import check_parity

        def test_it(sd_benchmark, fake_device, sd_case):
            sd_benchmark(fake_device.generate)
            pixels = np.random.default_rng(0)
            parity = check_parity(lambda batch: pixels.random((batch.size, 8, 8, 3)), sd_case)
            assert parity.agrees, parity
    """
    text = run_benchmark("--sd-batch-sizes=2", source=source).text

    assert "AssertionError: 1x4, 2x2, 4x1: do not agree" in text
    assert re.search(r"E +largest difference 0\.\d+ \(image \d of [24]x\d\), PSNR .* dB; allowed: .* 0\.0001\n", text)
