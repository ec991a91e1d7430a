"""The benchmarks that ship with the package: ``sdbatch sweep`` is ``pytest --pyargs pytest_sdbatch.suite``."""
