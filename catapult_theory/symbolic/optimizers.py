"""The optimizers by name, and what composes them: ``ct.optimizers``.

Each is an immutable `Optimizer`. Gradient descent and the momentum rules are starting points;
`decoupled`, `clipped`, `normalised`, `sam`, `unnormalised_sam` and `batched` take an optimizer
and return another one, in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic.batches import Batches
from catapult_theory.symbolic.optimizer import GRAD_NORM, Coordinatewise, Optimizer, Recipe
from catapult_theory.symbolic.symbols import beta as BETA
from catapult_theory.symbolic.symbols import clip as CLIP
from catapult_theory.symbolic.symbols import eta, omega
from catapult_theory.symbolic.symbols import rho as RHO

__all__ = [
    "GRAD_NORM",
    "NAMED",
    "Coordinatewise",
    "Optimizer",
    "Recipe",
    "adam",
    "batched",
    "built",
    "clipped",
    "decoupled",
    "gd",
    "get",
    "heavy_ball",
    "nesterov",
    "normalised",
    "sam",
    "sgd",
    "sign_descent",
    "torch_heavy_ball",
    "torch_nesterov",
    "unnormalised_sam",
]


def _parameter(value: Any, symbol: sp.Symbol, name: str) -> sp.Expr:
    if value is None or value is False:
        return sp.S.Zero
    if value is True:
        return symbol
    number = (
        sp.nsimplify(sp.sympify(value), rational=True) if not isinstance(value, sp.Expr) else value
    )
    if number.is_number and not (number.is_real and number >= 0):
        raise InputError(f"{name} must be a non-negative number or a symbol, got {value!r}")
    return number


def _positive(value: Any, symbol: sp.Symbol, name: str) -> sp.Expr:
    number = symbol if value is None else _parameter(value, symbol, name)
    if number == 0:
        raise InputError(f"{name} must be positive, got {value!r}")
    return number


def _momentum(beta: Any) -> sp.Expr:
    momentum = BETA if beta is None else _parameter(beta, BETA, "beta")
    if momentum.is_number and momentum >= 1:
        raise InputError(f"beta must lie in [0, 1), got {beta}")
    return momentum


def built(recipe: Recipe) -> Optimizer:
    """Return the optimizer of a recipe: its matrices in the copies of the frame.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> built(Recipe(momentum="nesterov", beta=BETA)).point
    (1, beta)
    """
    beta, inside = recipe.beta, recipe.omega if recipe.decay == "coupled" else sp.S.Zero
    matrices: dict[str, tuple[Any, tuple[Any, ...], tuple[Any, ...]]] = {
        "none": ([[1]], (-eta,), (1,)),
        "heavy_ball": ([[1, beta], [0, beta]], (-eta, -eta), (1, 0)),
        "nesterov": ([[1, beta], [0, beta]], (-eta, -eta), (1, beta)),
        "torch_heavy_ball": ([[1, -eta * beta], [0, beta]], (-eta, 1), (1, 0)),
        "torch_nesterov": ([[1, -eta * beta**2], [0, beta]], (-eta * (1 + beta), 1), (1, 0)),
    }
    rows, slope, point = matrices[recipe.momentum]
    # Coupled weight decay is the gradient of omega |Phi|^2 / 2 at the same point.
    transfer = sp.Matrix(rows) + inside * sp.Matrix(slope) * sp.Matrix([point])
    effective = inside
    if recipe.decay == "decoupled":
        transfer[0, 0] -= eta * recipe.omega
        effective = _effective_decay(transfer, slope)
    scales = {"none": sp.S.One, "clip": recipe.clip / sp.Max(recipe.clip, GRAD_NORM),
              "normalise": 1 / GRAD_NORM}  # fmt: skip
    ascents = {"none": sp.S.Zero, "sam": recipe.rho / GRAD_NORM, "unnormalised_sam": recipe.rho}
    return Optimizer(
        name=_name(recipe),
        transfer=sp.ImmutableMatrix(transfer),
        slope=tuple(sp.sympify(e) for e in slope),
        point=tuple(sp.sympify(e) for e in point),
        decay=effective,
        ascent=ascents[recipe.ascent],
        scale=scales[recipe.rescaling],
        batches=recipe.batches,
        recipe=recipe,
    )


def _effective_decay(transfer: Any, slope: Any) -> sp.Expr:
    """Return omega with grad L = -omega Phi at a fixed point of the copies."""
    size = len(slope)
    others = [sp.Dummy() for _ in range(size - 1)]
    pull = sp.Dummy()
    copies = sp.Matrix([1, *others])
    (solution,) = sp.linsolve(
        list(transfer * copies - copies - sp.Matrix(slope) * pull), [*others, pull]
    )
    return sp.factor(solution[-1])


def _name(recipe: Recipe) -> str:
    """Return the name: the momentum rule with its numbers, inside what was done to it."""
    base = "gd" if recipe.momentum == "none" else recipe.momentum
    said = [str(recipe.beta)] * (recipe.momentum != "none" and recipe.beta != BETA)
    key = "weight_decay" if recipe.decay == "coupled" else "decoupled_weight_decay"
    said += [f"{key}={recipe.omega}"] * (recipe.omega != 0)
    name = base + (f"({', '.join(said)})" if said else "")
    wrappers = {
        "clipped": (recipe.rescaling == "clip", f"clip={recipe.clip}", recipe.clip == CLIP),
        "normalised": (recipe.rescaling == "normalise", "", True),
        "sam": (recipe.ascent == "sam", f"rho={recipe.rho}", recipe.rho == RHO),
        "unnormalised_sam": (
            recipe.ascent == "unnormalised_sam", f"rho={recipe.rho}", recipe.rho == RHO
        ),
        "sgd": (recipe.batches is not None, f"batches of {recipe.batches}", False),
    }  # fmt: skip
    for wrapper, (applied, numbers, plain) in wrappers.items():
        if applied:
            inside = [name] * (name != "gd") + [numbers] * (not plain)
            name = wrapper + (f"({', '.join(inside)})" if inside else "")
    return name


def gd(weight_decay: Any = None) -> Optimizer:
    """Return full-batch gradient descent, Phi' = Phi - eta (grad L + omega Phi).

    Parameters
    ----------
    weight_decay : number, symbol, True or None
        omega; ``True`` for the symbol ``omega``.

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> gd(weight_decay=True).parameters
    (eta, omega)
    """
    return built(Recipe(omega=_parameter(weight_decay, omega, "weight_decay")))


def heavy_ball(beta: Any = None, weight_decay: Any = None) -> Optimizer:
    """Return heavy-ball momentum, P' = beta P - eta grad L, Phi' = Phi + P', P = 0 at the start.

    Parameters
    ----------
    beta : number, symbol or None
        Momentum; left out, the symbol ``beta``.
    weight_decay : number, symbol, True or None
        Coupled: omega Phi is part of the gradient.

    Returns
    -------
    Optimizer

    Raises
    ------
    InputError
        If beta is a number outside [0, 1).

    Examples
    --------
    >>> heavy_ball(0.9).stability_threshold()
    19/5
    """
    return _with_momentum("heavy_ball", beta, weight_decay)


def nesterov(beta: Any = None, weight_decay: Any = None) -> Optimizer:
    """Return Nesterov momentum, heavy ball with the gradient taken at Phi + beta P.

    P' = beta P - eta grad L(Phi + beta P), Phi' = Phi + P'.

    Parameters
    ----------
    beta : number, symbol or None
    weight_decay : number, symbol, True or None
        Coupled: omega (Phi + beta P) is part of the gradient.

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> sp.factor(nesterov().stability_threshold())
    2*(beta + 1)/(2*beta + 1)
    """
    return _with_momentum("nesterov", beta, weight_decay)


def torch_heavy_ball(beta: Any = None, weight_decay: Any = None) -> Optimizer:
    """Return heavy ball with PyTorch's buffer, B' = beta B + grad L, Phi' = Phi - eta B'.

    At a fixed learning rate the same as `heavy_ball` (P = -eta B); under a schedule it is not:
    here a change of eta acts on the whole buffer at once.

    Parameters
    ----------
    beta : number, symbol or None
    weight_decay : number, symbol, True or None
        Coupled.

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> torch_heavy_ball().slope
    (-eta, 1)
    """
    return _with_momentum("torch_heavy_ball", beta, weight_decay)


def torch_nesterov(beta: Any = None, weight_decay: Any = None) -> Optimizer:
    """Return PyTorch's Nesterov, B' = beta B + grad L, Phi' = Phi - eta (grad L + beta B').

    Its parameters are those at which `nesterov` takes its gradient.

    Parameters
    ----------
    beta : number, symbol or None
    weight_decay : number, symbol, True or None
        Coupled.

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> torch_nesterov().stability_threshold() == nesterov().stability_threshold()
    True
    """
    return _with_momentum("torch_nesterov", beta, weight_decay)


def _with_momentum(kind: str, beta: Any, weight_decay: Any) -> Optimizer:
    decay = _parameter(weight_decay, omega, "weight_decay")
    return built(Recipe(momentum=kind, beta=_momentum(beta), omega=decay))


def sgd(
    batch: int = 1, sampling: str = "epochs", seed: int = 0, weight_decay: Any = None
) -> Optimizer:
    """Return gradient descent on mini-batches, for models with data.

    L is replaced by the mean over the batch of the step; the loss that a run reports is that
    of all samples.

    Parameters
    ----------
    batch : int
        Samples in a batch.
    sampling : str
        "epochs" (without replacement) or "replacement".
    seed : int
    weight_decay : number, symbol, True or None

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> sgd(16).batches
    Batches(size=16, sampling='epochs', seed=0)
    """
    return batched(gd(weight_decay), batch, sampling, seed)


def decoupled(rule: Any = "heavy_ball", weight_decay: Any = True) -> Optimizer:
    """Return an optimizer with decoupled weight decay, Phi' = (1 - eta omega) Phi + its step.

    Parameters
    ----------
    rule : str or Optimizer
        Without weight decay of its own.
    weight_decay : number, symbol or True

    Returns
    -------
    Optimizer

    Raises
    ------
    InputError
        If the optimizer already has weight decay.

    Examples
    --------
    >>> decoupled("heavy_ball").decay
    -omega*(beta - 1)
    """
    recipe = _recipe(rule)
    if recipe.omega != 0:
        raise InputError(f"{_name(recipe)} has weight decay already: decouple the plain rule")
    decay = _parameter(weight_decay, omega, "weight_decay")
    return built(replace(recipe, omega=decay, decay="decoupled"))


def clipped(rule: Any = "gd", clip: Any = None) -> Optimizer:
    """Return an optimizer whose gradient is clipped to a global norm, before any weight decay.

    grad L -> grad L min(1, clip / |grad L|), which acts on whole vectors: |grad L|^2 is invariant.

    Parameters
    ----------
    rule : str or Optimizer
    clip : number, symbol or None
        The largest norm; left out, the symbol ``clip``.

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> clipped("gd").scale
    clip/Max(clip, grad_norm)
    """
    return built(replace(_recipe(rule), rescaling="clip", clip=_positive(clip, CLIP, "clip")))


def normalised(rule: Any = "gd") -> Optimizer:
    """Return an optimizer with the gradient divided by its norm; a vanishing one stays zero.

    Parameters
    ----------
    rule : str or Optimizer

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> normalised("gd").scale, normalised("gd").stability_threshold()
    (1/grad_norm, 0)
    """
    return built(replace(_recipe(rule), rescaling="normalise"))


def sam(rule: Any = "gd", rho: Any = None) -> Optimizer:
    """Return sharpness-aware minimisation: the gradient at Phi + rho grad L / |grad L|.

    Foret, Kleiner, Mobahi, Neyshabur 2020. Where the gradient vanishes there is no ascent.

    Parameters
    ----------
    rule : str or Optimizer
        What is done with that gradient.
    rho : number, symbol or None
        Radius; left out, the symbol ``rho``.

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> sam("heavy_ball").parameters
    (eta, beta, rho)
    """
    return built(replace(_recipe(rule), ascent="sam", rho=_positive(rho, RHO, "rho")))


def unnormalised_sam(rule: Any = "gd", rho: Any = None) -> Optimizer:
    """Return SAM without normalisation: the gradient at Phi + rho grad L.

    Andriushchenko, Flammarion 2022. Along a curvature h it acts as h (1 + rho h).

    Parameters
    ----------
    rule : str or Optimizer
    rho : number, symbol or None

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> unnormalised_sam(rho=1).stability_threshold()
    eta*(sqrt(1 + 8/eta) - 1)/2
    """
    return built(replace(_recipe(rule), ascent="unnormalised_sam", rho=_positive(rho, RHO, "rho")))


def batched(rule: Any, size: int = 1, sampling: str = "epochs", seed: int = 0) -> Optimizer:
    """Return an optimizer that sees a mini-batch at each step.

    Parameters
    ----------
    rule : str or Optimizer
    size : int
    sampling : str
        "epochs" (without replacement) or "replacement".
    seed : int

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> batched("heavy_ball", 8, "replacement", seed=3).name
    'sgd(heavy_ball, batches of 8 samples, replacement, seed 3)'
    """
    return built(replace(_recipe(rule), batches=Batches(size, sampling, seed)))


def _recipe(rule: Any) -> Recipe:
    chosen = get(rule)
    if not isinstance(chosen, Optimizer) or chosen.recipe is None:
        raise InputError(f"{chosen.name} cannot be composed: start from gd or a momentum rule")
    return chosen.recipe


def adam() -> Coordinatewise:
    """Return Adam, which `derive` refuses: it divides each coordinate by its own scale.

    Returns
    -------
    Coordinatewise

    Examples
    --------
    >>> adam().name
    'adam'
    """
    return Coordinatewise(
        "adam",
        "grad_i^2",
        "Adam rescales every coordinate by the running mean of its own squared gradient, "
        "which is not a function of inner products",
    )


def sign_descent() -> Coordinatewise:
    """Return sign descent, which `derive` refuses: the sign acts on each coordinate.

    Returns
    -------
    Coordinatewise

    Examples
    --------
    >>> sign_descent().name
    'sign_descent'
    """
    return Coordinatewise(
        "sign_descent",
        "sign(grad_i)",
        "the sign of every coordinate of the gradient is not a function of inner products",
    )


NAMED: dict[str, Callable[[], Optimizer | Coordinatewise]] = {
    "gd": gd,
    "weight_decay": lambda: gd(weight_decay=True),
    "heavy_ball": heavy_ball,
    "nesterov": nesterov,
    "torch_heavy_ball": torch_heavy_ball,
    "torch_nesterov": torch_nesterov,
    "decoupled": decoupled,
    "clipped": clipped,
    "normalised": normalised,
    "sam": sam,
    "unnormalised_sam": unnormalised_sam,
    "sgd": sgd,
    "adam": adam,
    "sign_descent": sign_descent,
}


def get(optimizer: Any) -> Optimizer | Coordinatewise:
    """Return the optimizer of a name, or the object itself.

    Parameters
    ----------
    optimizer : str, Optimizer or Coordinatewise

    Returns
    -------
    Optimizer or Coordinatewise

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> get("heavy_ball").parameters
    (eta, beta)
    """
    if isinstance(optimizer, (Optimizer, Coordinatewise)):
        return optimizer
    if not isinstance(optimizer, str) or optimizer not in NAMED:
        raise unknown_name("optimizer", optimizer, NAMED)
    return NAMED[optimizer]()
