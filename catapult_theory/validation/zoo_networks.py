"""Which hand-written network a model of the zoo is, so that it is trained by that.

The uv-model and the linear network, which runs take most often, have networks of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.networks import GenericNetwork, forward_zoo
from catapult_theory.symbolic import models
from catapult_theory.symbolic.model import Model

Sizes = Mapping[str, int]


def zoo_network(model: Model, sizes: Sizes, label: Any) -> GenericNetwork | None:
    """Return the hand-written network of a model, or None for a model outside the zoo.

    Parameters
    ----------
    model : Model
    sizes : mapping of str to int
        m, d and k of the data; empty for scalar models.
    label : array
        The number that the label is.

    Returns
    -------
    GenericNetwork or None

    Examples
    --------
    >>> zoo_network(models.quadratic_activation_one_sample(), {}, 0.3).label
    array(0.3)
    """
    build = _BUILDERS.get(model.name)
    return None if build is None else build(model, sizes, label)


def _quadratic_activation(model: Model, sizes: Sizes, label: Any) -> GenericNetwork | None:
    share = model.parts.shares[0]
    zoo = models.quadratic_activation(_written(model.data.shape[1]), share)
    if (model.output, model.matrices, model.parts) != (zoo.output, zoo.matrices, zoo.parts):
        return None
    return forward_zoo.quadratic_activation(sizes["d"], Fraction(int(share.p), int(share.q)))


def _quadratic_activation_one_sample(
    model: Model, sizes: Sizes, label: Any
) -> GenericNetwork | None:
    share = model.parts.shares[0]
    zoo = models.quadratic_activation_one_sample(positive=share)
    if (model.output, model.vectors, model.parts) != (zoo.output, zoo.vectors, zoo.parts):
        return None
    part = Fraction(int(share.p), int(share.q))
    return forward_zoo.quadratic_activation_one_sample(label, part)


def _matrix_sensing(model: Model, sizes: Sizes, label: Any) -> GenericNetwork | None:
    rows, cols = len(model.matrices) - 1, model.matrices[-1].shape[1]
    zoo = models.matrix_sensing(rows, int(cols))
    known = (model.output, model.matrices) == (zoo.output, zoo.matrices)
    return forward_zoo.matrix_sensing(rows, int(cols)) if known else None


def _tied_autoencoder(model: Model, sizes: Sizes, label: Any) -> GenericNetwork | None:
    zoo = models.tied_autoencoder(sizes["d"])
    known = (model.output, model.matrices) == (zoo.output, zoo.matrices)
    return forward_zoo.tied_autoencoder(sizes["d"]) if known else None


def _written(side: Any) -> int | None:
    """Return a size of a model as its function takes it: a number, or None for a symbol."""
    return int(side) if sp.sympify(side).is_Integer else None


_BUILDERS: Mapping[str, Callable[[Model, Sizes, Any], GenericNetwork | None]] = {
    "quadratic_activation": _quadratic_activation,
    "matrix_sensing": _matrix_sensing,
    "tied_autoencoder": _tied_autoencoder,
    "quadratic_activation_one_sample": _quadratic_activation_one_sample,
}
