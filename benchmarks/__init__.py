"""Benchmarks: one question each, printed with machine, versions, medians and ratios."""
