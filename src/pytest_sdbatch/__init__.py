"""pytest-sdbatch: batch size or batch count? Benchmarks of diffusers pipelines, and the answer."""
