"""Code generation: update maps lowered, emitted for a target, compiled and run."""
