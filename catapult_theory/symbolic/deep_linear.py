"""Deep linear networks: open in general, closed mode by mode where singular vectors are aligned.

f(x) = W_L ... W_1 x. Beyond one hidden layer products of hidden matrices with themselves are new
quantities at every step, and `derive` says which comes first. If each layer begins with the
singular vectors of the next, W_l = R_(l+1) diag(w_l) R_l^T, if the outer ones are those of the
target A, and if the data are whitened, X^T X / m = I, gradients are diagonal in the same vectors:
alignment is kept, and each mode trains as f = w_L ... w_1 towards a singular value of A. That is
found, not assumed: `singular_modes` puts the vectors into the raw gradient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic import losses, optimizers
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.singular_modes import SingularVectors, aligned_vectors, modes_of
from catapult_theory.symbolic.symbols import data, eta, matrix, n, y
from catapult_theory.symbolic.update_map import Frame, UpdateMap


def deep_linear(depth: int = 3, inputs: int = 2, outputs: int = 1) -> Model:
    """Return f(x) = V H_1 ... U x n^(-(depth - 1)/2) with depth layers of weights.

    Closed for depth 2, where it is the linear network; deeper ones raise `NotClosed`, and
    `aligned_mode` gives what closes of them.

    Parameters
    ----------
    depth : int
        At least 2.
    inputs, outputs : int

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If the depth is not an integer of at least 2.

    Examples
    --------
    >>> print(deep_linear(3))
    deep_linear: f = 1/n*X*U.T*H1.T*V.T
    """
    plain = product_of_layers(depth, inputs, outputs)
    return replace(plain, output=plain.output / n ** sp.Rational(depth - 1, 2))


def product_of_layers(depth: int = 3, inputs: int = 2, outputs: int = 1) -> Model:
    """Return f(x) = V H_1 ... U x without factors of the width, as singular values multiply.

    Parameters
    ----------
    depth : int
        At least 2.
    inputs, outputs : int

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If the depth is not an integer of at least 2.

    Examples
    --------
    >>> print(product_of_layers(3))
    deep_linear: f = X*U.T*H1.T*V.T
    """
    _check_depth(depth)
    X, V, U = data("X", cols=inputs), matrix("V", rows=outputs), matrix("U", cols=inputs)
    hidden = [sp.MatrixSymbol(f"H{i}", n, n) for i in range(1, depth - 1)]
    product = X @ U.T
    for H in hidden:
        product = product @ H.T
    return Model(output=product @ V.T, matrices=(V, *hidden, U), data=X, name="deep_linear")


def aligned_mode(
    depth: int = 3,
    label: Any = True,
    loss: Any = "squared",
    vectors: SingularVectors | None = None,
) -> UpdateMap:
    """Return the exact dynamics of one mode of an aligned deep linear network on whitened data.

    w_l' = w_l - eta g prod_(j != l) w_j with f = w_1 ... w_L and g = dl/df; the label is the
    singular value of the target. For the squared loss, which a rotation leaves alone, the modes
    do not see each other; other losses mix them.

    Parameters
    ----------
    depth : int
        L, at least 2.
    label : number, symbol or bool
        The singular value that the mode learns; ``True`` for the symbol ``y``.
    loss : str
        "squared".
    vectors : SingularVectors, optional
        What is known of the start. Left out, singular vectors are aligned and the data white.

    Returns
    -------
    UpdateMap
        With the state w1, ..., wL and gradient descent as optimizer.

    Raises
    ------
    InputError
        If the depth is not an integer of at least 2.
    NotClosed
        For another loss, for vectors that are not aligned, for data that are not white; it names
        the first quantity that is open.

    Examples
    --------
    >>> print(aligned_mode(2))
    w1' = -eta*w2*(w1*w2 - y) + w1
    w2' = -eta*w1*(w1*w2 - y) + w2
    exact at every width n
    """
    cost, rule = losses.get(loss), optimizers.gd()
    found = modes_of(product_of_layers(depth), cost, vectors or aligned_vectors(depth))
    target = y if label is True else sp.nsimplify(sp.sympify(label), rational=True)
    residual = found.residual.subs(y, target)
    kernel = sp.Add(*(slope**2 for slope in found.slopes.values()))
    return UpdateMap(
        model="aligned_mode",
        loss=cost.name,
        optimizer=rule.name,
        variables=found.weights,
        constants=(eta, *sorted(target.free_symbols, key=str)),
        updates={w: e.subs(y, target) for w, e in found.updates.items()},
        observables={
            "loss": residual**2 / 2,  # the one loss whose gradient turns with the frames
            "f": found.output,
            "lam": kernel,
            "grad_norm2": residual**2 * kernel,
        },
        carried={},
        domain=(),
        gram={w: w for w in found.weights},
        frame=Frame((), (), 0),
        steps=found.steps,
    )


def _check_depth(depth: Any) -> None:
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 2:
        raise InputError(f"depth must be an integer of at least 2, got {depth!r}")
