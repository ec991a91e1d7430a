"""Training: what a step costs, and what batch size and count do to learning."""
