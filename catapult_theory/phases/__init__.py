"""Phases of training: bounds on the learning rate, predictions, behaviour, final curvature."""
