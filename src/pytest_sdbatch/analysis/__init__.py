"""What the numbers mean: pure functions on values; numpy and scipy only here."""
