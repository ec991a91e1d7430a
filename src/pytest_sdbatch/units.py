"""The only place where quantities become text. Inside, everything is seconds and bytes."""
