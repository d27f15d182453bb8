"""Speeds, each as a ratio against a named alternative in the same run. `python -m bench` runs all of them."""
