"""The contestants of the uv-questions: ours, NumPy and what writes it, compiled C, JAX."""
