"""What runs: catalog, loading, variants, and the calls of one case. torch and diffusers are imported late."""
