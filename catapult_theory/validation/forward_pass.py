"""The raw forward pass of a symbolic model, and the network that trains it by brute force.

Only the output is taken over from the symbols: width-n arrays go in, outputs come out.
Gradients are automatic (autograd), or written by hand for the networks of the zoo; nothing
here knows of Gram matrices or of the derived updates.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import autograd.numpy as anp
import numpy as np
import sympy as sp
from sympy.matrices.expressions.slice import MatrixSlice

from catapult_theory.errors import InputError, ModelError
from catapult_theory.networks import GenericNetwork, LinearNetwork, UVNetwork
from catapult_theory.symbolic import models
from catapult_theory.symbolic.frames import side_of
from catapult_theory.symbolic.matrix_nodes import Diagonal
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import Inner, n
from catapult_theory.validation.zoo_networks import zoo_network

Arrays = Mapping[str, Any]

_POINTWISE: Mapping[str, Callable[[Any], Any]] = {
    "relu": lambda a: anp.maximum(a, 0.0),
    "tanh": anp.tanh,
    "sin": anp.sin,
    "cos": anp.cos,
    "exp": anp.exp,
    "sqrt": anp.sqrt,
}
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def network_of(
    model: Model, data: Any = None, **constants: Any
) -> UVNetwork | LinearNetwork | GenericNetwork:
    """Return the finite-width network of a model, ready to be trained.

    The zoo's models are trained by the hand-written networks, any other by its own forward
    pass and automatic differentiation.

    Parameters
    ----------
    model : Model
    data : pair (X, Y) or Dataset, optional
        For a matrix model; the sizes d and k are read from it.
    **constants
        Values of the model's own symbols, such as the label ``y``.

    Returns
    -------
    UVNetwork, LinearNetwork or GenericNetwork

    Raises
    ------
    InputError
        If a symbol has no value, or a name is not a symbol of the model.
    ModelError
        If the output contains something that cannot be evaluated.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> network_of(models.uv(label=0.5)).label
    array(0.5)
    """
    needed = [s.name for s in model.parameters if s != n]
    constants = {**model.values, **constants}
    _check_constants(model, needed, constants)
    if model.is_matrix:
        sizes = _sizes(model, data)
        if is_linear_network(model):
            sides = model.data.shape[1], model.output.shape[1]
            return LinearNetwork(_size(sides[0], sizes), _size(sides[1], sizes))
        X, Y = (np.asarray(a) for a in data)
        counts = {"m": X.shape[0], "d": X.shape[1], "k": 1 if Y.ndim == 1 else Y.shape[1]}
        if (found := zoo_network(model, counts, None)) is not None:
            return found
        return GenericNetwork(forward_pass(model, **constants), shapes_of(model, sizes))
    label = evaluated(model.label, constants)
    if is_uv_network(model):
        return UVNetwork(label)
    if (found := zoo_network(model, {}, label)) is not None:
        return found
    held = tuple(v.atom.name for v in model.fixed)
    return GenericNetwork(forward_pass(model, **constants), shapes_of(model), label, held)


def is_linear_network(model: Model) -> bool:
    """Return whether a model is the zoo's two-layer linear network, of any sizes.

    Parameters
    ----------
    model : Model

    Returns
    -------
    bool

    Examples
    --------
    >>> is_linear_network(models.linear(outputs=3)), is_linear_network(models.uv())
    (True, False)
    """
    if not model.is_matrix:
        return False
    sides = model.data.shape[1], model.output.shape[1]
    zoo = models.linear(*(int(side) if side.is_Integer else None for side in sides))
    return bool((model.output, model.matrices) == (zoo.output, zoo.matrices))


def is_uv_network(model: Model) -> bool:
    """Return whether a model is the zoo's uv-model, with any label.

    Parameters
    ----------
    model : Model

    Returns
    -------
    bool

    Examples
    --------
    >>> is_uv_network(models.uv(label=0.3))
    True
    """
    zoo = models.uv()
    return bool((model.output, model.vectors) == (zoo.output, zoo.vectors))


def evaluated(expression: Any, values: Mapping[str, Any]) -> Any:
    """Return a scalar expression as a number or array, its symbols replaced by values.

    Parameters
    ----------
    expression : sympy.Expr
    values : mapping of str to number or array

    Returns
    -------
    float or array

    Raises
    ------
    InputError
        If a symbol has no value.

    Examples
    --------
    >>> float(evaluated(sp.Symbol("y") / 2, {"y": 3.0}))
    1.5
    """
    names = sorted(s.name for s in expression.free_symbols)
    missing = [name for name in names if name not in values]
    if missing:
        raise InputError(f"give a value for {', '.join(missing)}, such as {missing[0]}=0.5")
    by_name = {s.name: s for s in expression.free_symbols}
    function = sp.lambdify([by_name[k] for k in names], expression, modules="numpy")
    return np.asarray(function(*(np.asarray(values[k], dtype=float) for k in names)), dtype=float)


def shapes_of(model: Model, sizes: Mapping[Any, int] | None = None) -> dict[str, tuple[Any, ...]]:
    """Return the shape of each parameter, with the text ``"n"`` for the width.

    Parameters
    ----------
    model : Model
    sizes : mapping, optional
        Values of symbolic sizes.

    Returns
    -------
    dict of str to tuple

    Examples
    --------
    >>> shapes_of(models.uv())
    {'u': ('n',), 'v': ('n',)}
    """
    side = {name: side_of(model.parts.share(name)) for name in model.names}
    if not model.is_matrix:
        return {name: (side[name],) for name in model.names}
    known = sizes or {}
    return {m.name: tuple(side[m.name] if s == n else _size(s, known) for s in m.shape)
            for m in model.matrices}  # fmt: skip


def forward_pass(model: Model, **constants: Any) -> Callable[[Arrays, Any], Any]:
    """Return the output of a model as a function of its raw parameters.

    Parameters
    ----------
    model : Model
    **constants
        Values of the model's own symbols.

    Returns
    -------
    callable
        ``function(parameters, X)``, written with autograd's NumPy.

    Raises
    ------
    ModelError
        If the output contains something that cannot be evaluated.

    Examples
    --------
    >>> f = forward_pass(models.uv())
    >>> float(f({"u": np.array([1.0, 2.0, 2.0, 1.0]), "v": np.ones(4)}, None))
    3.0
    """
    return _matrix_pass(model, constants) if model.is_matrix else _vector_pass(model, constants)


def _vector_pass(model: Model, constants: Mapping[str, Any]) -> Callable[[Arrays, Any], Any]:
    pairs = sorted(model.output.atoms(Inner), key=str)
    products = [sp.Dummy() for _ in pairs]
    scalars = [s for s in model.parameters if s in model.output.free_symbols and s != n]
    body = model.output.xreplace(dict(zip(pairs, products, strict=True)))
    output = sp.lambdify([*products, n, *scalars], body, modules=[anp])
    sides = [[_vector_tree(a.name) for a in pair.args] for pair in pairs]
    values = [constants[s.name] for s in scalars]
    first = model.vectors[0].atom.name
    share = float(model.parts.share(first))

    def function(parameters: Arrays, X: Any) -> Any:
        scope = {**constants, **parameters}
        inner = [anp.dot(_vector(a, scope), _vector(b, scope)) for a, b in sides]
        return output(*inner, parameters[first].size / share, *values)

    return function


def _vector_tree(text: str) -> ast.expr:
    """Return the syntax of a vector such as ``u`` or ``relu(u + v)``."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as cause:
        raise ModelError(f"the vector {text!r} cannot be evaluated") from cause


def _vector(tree: ast.expr, scope: Arrays) -> Any:
    """Evaluate the syntax of a vector; names, numbers, + - * / and pointwise functions only."""
    if isinstance(tree, ast.Name) and tree.id in scope:
        return scope[tree.id]
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float)):
        return tree.value
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_vector(tree.operand, scope)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        return _OPERATORS[type(tree.op)](_vector(tree.left, scope), _vector(tree.right, scope))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        function = _POINTWISE.get(tree.func.id)
        if function is not None and len(tree.args) == 1:
            return function(_vector(tree.args[0], scope))
    raise ModelError(
        f"the vector {ast.unparse(tree)!r} cannot be evaluated: pointwise functions with a "
        f"forward pass are {', '.join(_POINTWISE)}"
    )


def _matrix_pass(model: Model, constants: Mapping[str, Any]) -> Callable[[Arrays, Any], Any]:
    """Walk the matrix expression of the output on arrays."""
    scaling = next(m for m in model.matrices)
    axis = scaling.shape.index(n)
    share = float(model.parts.share(scaling.name))

    def function(parameters: Arrays, X: Any) -> Any:
        scope = {**constants, "n": parameters[scaling.name].shape[axis] / share}
        return _matrix(model.output, {**parameters, model.data.name: X}, scope)

    return function


def _matrix(node: Any, arrays: Arrays, scope: Arrays) -> Any:
    if isinstance(node, sp.MatrixSymbol):
        return arrays[node.name]
    if isinstance(node, sp.Transpose):
        return _matrix(node.arg, arrays, scope).T
    if isinstance(node, MatrixSlice):
        rows, cols = (_range(bounds) for bounds in (node.rowslice, node.colslice))
        return _matrix(node.parent, arrays, scope)[rows, cols]
    if isinstance(node, sp.MatAdd):
        total = _matrix(node.args[0], arrays, scope)
        for part in node.args[1:]:
            total = total + _matrix(part, arrays, scope)
        return total
    if isinstance(node, sp.MatMul):
        scale, factors = node.as_coeff_matrices()
        product = _matrix(factors[0], arrays, scope)
        for factor in factors[1:]:
            product = product @ _matrix(factor, arrays, scope)
        return product * float(evaluated(sp.sympify(scale), scope))
    if isinstance(node, Diagonal):
        square = _matrix(node.args[0], arrays, scope)
        return (square * np.eye(len(square))).sum(axis=1)[:, None]
    raise ModelError(f"the output contains {node}, which has no forward pass")


def _range(bounds: Any) -> slice:
    """Return the range of a slice; a symbolic end is that of the data."""
    first, last, step = bounds
    return slice(int(first), int(last) if sp.sympify(last).is_Integer else None, int(step))


def _sizes(model: Model, data: Any) -> dict[Any, int]:
    if data is None:
        raise InputError(f"{model.name} needs data=(X, y), for instance data=digits()")
    X, Y = (np.asarray(a) for a in data)
    actual = (*X.shape, 1 if Y.ndim == 1 else Y.shape[-1])
    written = (*model.data.shape, model.output.shape[1])
    for side, size in zip(written, actual, strict=True):
        if side.is_Integer and int(side) != size:
            raise InputError(f"{model.name} was written for a size of {side}, the data has {size}")
    return {side: size for side, size in zip(written, actual, strict=True) if not side.is_Integer}


def _size(side: Any, sizes: Mapping[Any, int]) -> int:
    value = sp.sympify(side).subs(dict(sizes))
    if not value.is_Integer:
        raise InputError(f"the size {side} is not known from the data: write a number in the model")
    return int(value)


def _check_constants(model: Model, needed: list[str], given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in needed:
            raise InputError(
                f"{model.name} has no symbol {name!r}: its symbols are {needed or 'n alone'}"
            )
    missing = [name for name in needed if name not in given]
    if missing:
        raise InputError(f"give a value for {', '.join(missing)}, such as {missing[0]}=0.5")
