"""The commands of ``sdbatch`` that are more than a call of pytest."""
