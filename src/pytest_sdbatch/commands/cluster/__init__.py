"""``sdbatch sweep --on``: a sweep on the nodes of a cluster. What is a cluster's own stands in one file."""
