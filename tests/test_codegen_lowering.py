"""Lowering: evaluation trees, passes that change nothing but cost, names in canonical order."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import catapult_theory as ct
from catapult_theory.codegen import ir
from catapult_theory.codegen.chains import NOMINAL, associated, oriented
from catapult_theory.codegen.lowering import code_name, expression_program, loop_program
from catapult_theory.codegen.passes import STEP, hoisted, powers_to_products
from catapult_theory.codegen.sharing import paired
from catapult_theory.codegen.translate import matmul, trace, transpose
from catapult_theory.errors import InputError

UV = ct.derive(ct.models.uv())
LINEAR = ct.derive(ct.models.linear(outputs=None))
MOMENTUM = ct.derive(ct.models.uv(), optimizer="heavy_ball")
x, y, z = (ir.symbol(name) for name in "xyz")


def value(node, table):
    """Evaluate a tree the slow and obvious way."""
    args = [value(a, table) for a in node.args]
    rules = {
        "number": lambda: float(node.value),
        "symbol": lambda: table[node.value],
        "add": lambda: sum(args[1:], args[0]),
        "mul": lambda: np.prod(args),
        "div": lambda: args[0] / args[1],
        "power": lambda: args[0] ** float(node.value),
        "call": lambda: {"sqrt": np.sqrt, "exp": np.exp, "pow": np.power}[node.value](*args),
    }
    return rules[node.op]()


leaves = st.sampled_from([x, y, z, ir.number(2), ir.number(Fraction(1, 3)), ir.MINUS])
exponents = st.sampled_from(
    [Fraction(2), Fraction(3), Fraction(-1), Fraction(1, 2), Fraction(-3, 2)]
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda a: ir.add(*a)),
        st.lists(inner, min_size=2, max_size=4).map(lambda a: ir.mul(*a)),
        st.tuples(st.sampled_from([x, y, z]), exponents).map(lambda p: ir.power(*p)),
    ),
    max_leaves=12,
)


def level(node):
    """x and y change from step to step, z does not."""
    return STEP if ir.symbols_in(node) & {"x", "y"} else 1


@pytest.mark.parametrize(
    "transform",
    [
        lambda t: hoisted(t, level),
        lambda t: powers_to_products(t, level),
        lambda t: paired(powers_to_products(hoisted(t, level), level), level),
    ],
    ids=["hoisting", "powers", "shared factors"],
)
@settings(max_examples=80, deadline=None)
@given(roots=st.lists(trees, min_size=1, max_size=3))
def test_passes_leave_values_as_they_are(transform, roots):
    table = {"x": 1.3, "y": 0.7, "z": 2.1}
    for before, after in zip(roots, transform(roots), strict=True):
        assert value(after, table) == pytest.approx(value(before, table), rel=1e-12, abs=1e-12)


def test_a_wrong_pass_would_be_seen():
    wrong = ir.add(x, ir.mul(y, y))
    assert value(wrong, {"x": 1.3, "y": 0.7}) != pytest.approx(1.3 + 0.7, rel=1e-12)


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_terms_and_factors_does_not_depend_on_how_they_come(names):
    symbols = [ir.symbol(name) for name in names]
    assert ir.add(*symbols) == ir.add(*sorted(symbols, key=ir.order))
    assert ir.mul(*symbols).key == "mul(symbol:a(),symbol:b(),symbol:c(),symbol:d())"


def test_constants_of_the_map_leave_the_time_loop():
    program = loop_program(UV)
    once = {a.name for a in program.at_level(1)}
    assert len(once) == 3
    assert all(ir.symbols_in(a.value) <= {"eta", "n"} for a in program.at_level(1))
    assert all("n" not in ir.symbols_in(a.value) for a in program.at_level(STEP))


@pytest.mark.parametrize("update_map", [UV, MOMENTUM, LINEAR], ids=["uv", "momentum", "linear"])
def test_hoisting_and_sharing_make_a_time_step_cheaper(update_map):
    table = loop_program(update_map).operations
    assert table["common subexpressions"] < table["hoisting"] < table["translation"]
    assert next(iter(table)) == "translation"
    assert str(table["hoisting"]) in str(table)


def test_factored_forms_are_not_expanded():
    program = expression_program(
        UV, {"q": sp.Symbol("f", real=True) * (UV.updates[UV.state.f] - 1)}
    )
    text = program.outputs[0][1].key
    assert text.count("add(") == 2  # one sum inside the other, as it was written


def test_a_program_for_one_output_keeps_only_what_it_needs():
    program = loop_program(UV)
    part = program.restricted(["lam_next"])
    assert [name for name, _ in part.outputs] == ["lam_next"]
    assert len(part.assignments) < len(program.assignments)
    needed = set().union(*(ir.symbols_in(n) for _, n in part.outputs))
    needed |= set().union(*(ir.symbols_in(a.value) for a in part.assignments))
    assert {a.name for a in part.assignments} <= needed


def test_products_of_samples_by_samples_are_never_formed():
    X, G, R = ir.symbol("X", ("m", "d")), ir.symbol("G", ("d", "d")), ir.symbol("R", ("m", 3))
    (tree,) = associated([matmul(X, G, transpose(X), R)], lambda node: False, frozenset())
    shapes = {node.shape for node in ir.walk(tree) if node.op == "matmul"}
    assert ("m", "m") not in shapes
    assert shapes == {("d", 3), ("m", 3)}
    (word,) = associated([trace(matmul(X, G, transpose(X)))], lambda node: False, frozenset())
    assert ("m", "m") not in {node.shape for node in ir.walk(word)}
    assert NOMINAL["m"] > NOMINAL["d"] > NOMINAL["k"]


def test_a_product_and_its_transpose_are_computed_once():
    Z, W = ir.symbol("Z", (3, "d")), ir.symbol("W", (3, "d"))
    both = [matmul(W, transpose(Z)), matmul(Z, transpose(W))]
    first, second = oriented(both)
    assert {n.key for t in (first, second) for n in ir.walk(t) if n.op == "matmul"} == {both[0].key}
    assert second.op == "transpose"


def test_the_linear_network_needs_nine_products_a_step():
    products = [a for a in loop_program(LINEAR).assignments if a.value.op == "matmul"]
    assert len(products) == 9
    few = ct.derive(ct.models.linear(outputs=1))
    assert sum(a.value.op == "matmul" for a in loop_program(few).assignments) == 5


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("lambda", "lambda_"), ("t", "t_"), ("x1", "x1"), ("np", "np_"), ("a'", "a_")],
)
def test_symbols_that_would_hide_something_are_spelled_otherwise(name, spelled):
    assert code_name(name) == spelled


def test_names_of_the_model_and_of_intermediates_do_not_meet():
    state = {s.name for s in MOMENTUM.variables}
    assert {"x1", "x2", "x3"} <= state  # the engine's names, which intermediates also like
    names = [a.name for a in loop_program(MOMENTUM).assignments]
    assert len(set(names)) == len(names)
    assert not set(names) & (state | {s.name for s in MOMENTUM.constants})


def test_what_no_target_can_compute_is_refused_with_its_name():
    with pytest.raises(InputError, match="zeta"):
        expression_program(UV, {"q": sp.zeta(sp.Symbol("f", real=True))})
    unfinished = sp.Piecewise((UV.state.f, UV.state.f > 0))
    with pytest.raises(InputError, match="no condition"):
        expression_program(UV, {"q": unfinished})


LOSSES = {
    "cosh": sp.cosh,
    "logistic": lambda e: sp.log(1 + sp.exp(-e)),
    "pseudo-Huber": lambda e: sp.sqrt(1 + e**2),
    "tanh": lambda e: sp.tanh(e) ** 2,
    "absolute": sp.Abs,
    "hinge": lambda e: sp.Max(0, 1 - e),
    "Huber": lambda e: sp.Piecewise((e**2 / 2, sp.Abs(e) <= 1), (sp.Abs(e) - sp.S.Half, True)),
    "power": lambda e: (1 + e**2) ** sp.Rational(2, 3),
    "sine": lambda e: sp.sin(e) + sp.exp(-(e**2)),
}


COMPILED = ("Huber", "logistic", "power")


@pytest.mark.parametrize(
    ("title", "backend"),
    [*((t, "array") for t in LOSSES), *((t, "numba") for t in COMPILED)]
    + [pytest.param(t, "numba", marks=pytest.mark.full) for t in LOSSES if t not in COMPILED],
)
def test_any_loss_steps_as_thirty_digit_arithmetic_says(title, backend):
    f, label = sp.symbols("f y", real=True)
    update_map = ct.derive(ct.models.uv(label=True), LOSSES[title](f - label))
    kernel = ct.compile(update_map, backend)
    points = np.array([-2.3, -0.4, 0.35, 1.9])
    given_ = {"eta": 0.7, "n": 9.0, "y": 0.25}
    path = kernel.trajectory({"f": points, "lam": 3.0}, 1, **given_)
    images = [update_map.updates[s] for s in update_map.variables]
    exact = sp.lambdify([*update_map.variables, *update_map.constants], images, "mpmath")
    # some ten operations on numbers below 20, functions good to a few units
    tolerance = 2e-14
    controls = []
    with mpmath.workdps(30):
        for i, point in enumerate(points):
            fixed = [mpmath.mpf(given_[s.name]) for s in update_map.constants]
            at = [mpmath.mpf(point), mpmath.mpf(3), *fixed]
            right = exact(*at)
            at[2] *= 1 + mpmath.mpf(10) ** -6
            wrong = exact(*at)
            got = [path[s.name][1, i] for s in update_map.variables]
            assert np.allclose(got, [float(r) for r in right], rtol=0, atol=tolerance)
            controls.append(np.allclose(got, [float(w) for w in wrong], rtol=0, atol=tolerance))
    assert not all(controls)


SEEDED = """
from catapult_theory.codegen.lowering import loop_program
import catapult_theory as ct
for loss in ('squared', 'softmax_cross_entropy'):
    print(loop_program(ct.derive(ct.models.linear(outputs=3), loss, 'heavy_ball')))
"""


@pytest.mark.full
def test_programs_are_the_same_in_every_process():
    texts = {
        subprocess.run(
            [sys.executable, "-c", SEEDED],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": s},
        ).stdout
        for s in ("1", "2", "3")
    }
    assert len(texts) == 1
