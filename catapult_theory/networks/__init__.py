"""Finite-width networks trained by brute force, and the starts and data that they need.

Nothing here knows the closed update equations: raw parameters, gradients by hand or by
autograd, plain optimizers. Theory and network meet in validation alone.
"""

from catapult_theory.networks import forward_zoo
from catapult_theory.networks.composite import Composite
from catapult_theory.networks.datasets import Dataset, load, normalised, one_hot, parity
from catapult_theory.networks.forward import GenericNetwork
from catapult_theory.networks.images import digits
from catapult_theory.networks.losses import OutputLoss
from catapult_theory.networks.ntk import ggn_top, kernel, top_eigenvalue
from catapult_theory.networks.optimizers import Adam, GradientDescent, HeavyBall
from catapult_theory.networks.parameters import frame, gram
from catapult_theory.networks.result import TrainingResult, TrainingStatus, TrainingSummary
from catapult_theory.networks.starts import GaussianStart, gaussian_start
from catapult_theory.networks.training import train_network, train_summary
from catapult_theory.networks.zoo import LinearNetwork, UVNetwork

__all__ = [
    "Adam",
    "Composite",
    "Dataset",
    "GaussianStart",
    "GenericNetwork",
    "GradientDescent",
    "HeavyBall",
    "LinearNetwork",
    "OutputLoss",
    "TrainingResult",
    "TrainingStatus",
    "TrainingSummary",
    "UVNetwork",
    "digits",
    "forward_zoo",
    "frame",
    "gaussian_start",
    "ggn_top",
    "gram",
    "kernel",
    "load",
    "normalised",
    "one_hot",
    "parity",
    "top_eigenvalue",
    "train_network",
    "train_summary",
]
