"""Benchmarks: each runs what it compares side by side, in turn, on one machine in one run."""
