"""Symbols, models, losses, optimizers, and the closure engine that derives update maps."""
