"""What point is measured: axes, cases, plans."""
