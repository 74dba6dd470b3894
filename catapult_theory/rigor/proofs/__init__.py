"""Theorems and generated closures, checked by the Coq proof assistant."""
