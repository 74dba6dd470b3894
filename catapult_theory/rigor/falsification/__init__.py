"""The search for a counterexample to a claim, and Hypothesis strategies for others' tests."""
