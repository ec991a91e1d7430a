"""What the plugin itself costs, measured side by side: ``python -m benchmarks.harness``, or ``tox -e harness``."""
