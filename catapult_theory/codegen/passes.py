"""The rewriting passes of the lowering; each is a function from trees to equal trees.

They change how an expression is evaluated, never what it is, and never distribute a product
over a sum: factored forms keep their digits near zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from catapult_theory.codegen import ir
from catapult_theory.codegen.ir import Node, add, call, mul, number, rewrite

Level = Callable[[Node], int]

# How often a quantity changes: with the data, with the parameters of a lane, at every step.
DATA, PARAMETERS, STEP = 0, 1, 2

# Above this exponent a power is left to the library.
LARGEST_PRODUCT = 64


def stable_functions(roots: Sequence[Node]) -> list[Node]:
    """Replace compositions that overflow by functions that do not.

    log(1 + exp x) becomes softplus(x), 1/(1 + exp x) becomes sigmoid(-x), and
    exp(x) sigmoid(-x) becomes sigmoid(x).

    Parameters
    ----------
    roots : sequence of Node

    Returns
    -------
    list of Node

    Examples
    --------
    >>> x = ir.symbol("x")
    >>> stable_functions([call("log", add(ir.ONE, call("exp", x)))])
    [call:softplus(symbol:x())]
    """
    return [rewrite(root, _stable) for root in roots]


def _stable(node: Node) -> Node:
    if node.op == "call" and node.value == "log":
        exponent = _one_plus_exp(node.args[0])
        if exponent is not None:
            return call("softplus", exponent)
    if node.op == "power" and node.value < 0 and node.value.denominator == 1:
        exponent = _one_plus_exp(node.args[0])
        if exponent is not None:
            return ir.power(call("sigmoid", mul(ir.MINUS, exponent)), -node.value)
    if node.op == "mul":
        return _exp_times_sigmoid(node)
    return node


def _one_plus_exp(node: Node) -> Node | None:
    """Return x for 1 + exp(x), or None."""
    if node.op == "add" and len(node.args) == 2 and node.args[0] == ir.ONE:
        other = node.args[1]
        if other.op == "call" and other.value == "exp":
            return other.args[0]
    return None


def _exp_times_sigmoid(node: Node) -> Node:
    """Merge a factor exp(x) with a factor sigmoid(-x) (or a power of it)."""
    factors = list(node.args)
    for exponential in [a for a in factors if a.op == "call" and a.value == "exp"]:
        x = exponential.args[0]
        wanted = call("sigmoid", mul(ir.MINUS, x))
        for other in factors:
            base, exponent = (
                (other.args[0], other.value) if other.op == "power" else (other, Fraction(1))
            )
            if base == wanted and exponent >= 1:
                factors.remove(exponential)
                factors.remove(other)
                factors += [call("sigmoid", x), ir.power(base, exponent - 1)]
                return mul(*factors)
    return node


def hoisted(roots: Sequence[Node], level: Level) -> list[Node]:
    """Gather the factors and terms that do not change from step to step.

    eta**2 f**2 / n becomes (eta**2 / n) f**2: the bracket is computed once for each lane.

    Parameters
    ----------
    roots : sequence of Node
    level : callable
        How often an expression changes.

    Returns
    -------
    list of Node
    """

    def rule(node: Node) -> Node:
        if level(node) < STEP:
            return node
        if node.op == "mul":
            return _gathered_product(node, level)
        if node.op == "add":
            return _gathered_sum(node, level)
        return node

    return [rewrite(root, rule) for root in roots]


def _gathered_product(node: Node, level: Level) -> Node:
    still = [a for a in node.args if a.op != "number" and level(a) < STEP and not a.shape]
    if not still:
        return node
    moving = [a for a in node.args if a.op != "number" and a not in still]
    coefficient = node.args[0].value if node.args[0].op == "number" else Fraction(1)
    negative = coefficient < 0
    scale = mul(number(abs(coefficient)), *still)
    front = (ir.MINUS, scale) if negative else (scale,)
    return node.rebuilt((*front, *moving))


def _gathered_sum(node: Node, level: Level) -> Node:
    still = [a for a in node.args if level(a) < STEP and not a.shape]
    if len(still) < 2:
        return node
    moving = [a for a in node.args if a not in still]
    return node.rebuilt((add(*still), *moving))


def powers_to_products(roots: Sequence[Node], level: Level = lambda node: STEP) -> list[Node]:
    """Write whole powers as products, halves as square roots, negative ones as quotients.

    A reciprocal that does not change from step to step stays a factor of its own.

    Parameters
    ----------
    roots : sequence of Node
    level : callable
        How often an expression changes.

    Returns
    -------
    list of Node

    Examples
    --------
    >>> powers_to_products([ir.power(ir.symbol("x"), Fraction(-3, 2))])
    [div(number:1(),mul(symbol:x(),call:sqrt(symbol:x())))]
    """
    return [_without_powers(root, level) for root in roots]


def _without_powers(node: Node, level: Level) -> Node:
    """Rewrite from the top: a product sees the powers among its factors."""
    if node.op == "power":
        above, below = _spread(node, level)
    elif node.op == "mul":
        above, below = [], []
        for factor in node.args:
            if factor.op == "power" and level(factor) == level(node):
                up, down = _spread(factor, level)
            else:
                up, down = [_without_powers(factor, level)], []
            above += up
            below += down
    else:
        return node.rebuilt(_without_powers(a, level) for a in node.args) if node.args else node
    top = _product(above)
    return Node("div", (top, _product(below)), None, node.shape) if below else top


def _spread(node: Node, level: Level) -> tuple[list[Node], list[Node]]:
    """Return the factors above and below the line of a single power."""
    base, exponent = _without_powers(node.args[0], level), node.value
    whole, rest = divmod(abs(exponent), 1)
    factors = [base] * int(whole)
    if rest == Fraction(1, 2):
        factors.append(call("sqrt", base))
    if rest not in (0, Fraction(1, 2)) or whole > LARGEST_PRODUCT:
        factors = [call("pow", base, number(abs(exponent)))]
    return (factors, []) if exponent > 0 else ([], factors)


def _product(factors: Sequence[Node]) -> Node:
    kept = [f for f in factors if f != ir.ONE] or [ir.ONE]
    return kept[0] if len(kept) == 1 else Node("mul", tuple(kept), None, ir.shape_of(kept))


def signs_outside(roots: Sequence[Node]) -> list[Node]:
    """Keep a minus sign apart from what it negates, so that a + x and b - x share x.

    Parameters
    ----------
    roots : sequence of Node

    Returns
    -------
    list of Node
    """

    def rule(node: Node) -> Node:
        if node.op == "mul" and node.args[0] == ir.MINUS and len(node.args) > 2:
            return node.rebuilt((ir.MINUS, _product(node.args[1:])))
        return node

    return [rewrite(root, rule) for root in roots]
