"""``sdbatch ab``: base and candidate in turn, in fresh processes on one device, and one verdict for every case."""
