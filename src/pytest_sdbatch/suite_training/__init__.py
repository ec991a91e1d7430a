"""The benchmark of training that ships: ``sdbatch sweep --train``."""
