"""The theory as objects: statements with their levels and checks."""
