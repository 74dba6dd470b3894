"""Steps of single-output maps as arithmetic on rows, written once for one lane and for eight.

Where every thin matrix of a step is a row of known length, or a number, its equations become
ordinary functions; called while an intrinsic is built, they emit straight-line vector code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from catapult_theory.codegen import ir
from catapult_theory.codegen.bodies import function, packed
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import Input, Program, judged_names, next_name
from catapult_theory.codegen.matrix_deferral import Deferral
from catapult_theory.codegen.numba_spelling import literal
from catapult_theory.codegen.passes import STEP
from catapult_theory.codegen.row_combinations import Combinations, inner_product, line_of
from catapult_theory.codegen.sharing import Assignment
from catapult_theory.codegen.spelling import Spelling, write

# Straight-line code for longer rows grows faster than it runs.
LONGEST = 256


@dataclass(frozen=True)
class Rows:
    """The functions ``before`` and ``after`` of a step, and what they take and give.

    Parameters
    ----------
    length : int
        Of every row.
    program : Program
    deferral : Deferral
    begun : tuple of str
        What ``before`` gives: all that ``after`` reads of it, the probe included, rows first.
    fixed : tuple of Assignment
        Rows that no step changes, of which the arithmetic is done before the first.
    """

    length: int
    program: Program
    deferral: Deferral
    begun: tuple[str, ...]
    fixed: tuple[Assignment, ...] = ()

    @property
    def before_inputs(self) -> list[str]:
        """The arguments of ``before``."""
        return _inputs(self.program, [a.value for a in self.deferral.before])

    @property
    def after_inputs(self) -> list[str]:
        """The arguments of ``after``."""
        nodes = [a.value for a in self.deferral.after]
        nodes += [node for _, node in self.outputs]
        nodes += [n for f in self.deferral.factors for n in (f.left, f.right)]
        product = ir.symbol(self.deferral.product, self.deferral.probe.shape)
        return _inputs(self.program, [*nodes, product])

    @property
    def begun_rows(self) -> list[str]:
        """What ``before`` gives of rows."""
        return [name for name in self.begun if self.is_row(name)]

    @property
    def begun_numbers(self) -> list[str]:
        """What ``before`` gives of numbers."""
        return [name for name in self.begun if not self.is_row(name)]

    @property
    def outputs(self) -> list[tuple[str, Node]]:
        """What ``after`` gives, without the large matrix."""
        large = next_name(self.deferral.large.code)
        return [(name, node) for name, node in self.program.outputs if name != large]

    @property
    def new_rows(self) -> list[str]:
        """The state variables that are rows."""
        return [i.code for i in self._small if i.shape != (1, 1)]

    @property
    def new_numbers(self) -> list[str]:
        """The state variables that are numbers."""
        return [i.code for i in self._small if i.shape == (1, 1)]

    @property
    def _small(self) -> list[Input]:
        return [i for i in self.program.state if i != self.deferral.large]

    @property
    def results(self) -> list[str]:
        """The numbers that ``after`` gives."""
        judged = ["now" if name == "loss" else name for name in judged_names(self.program)]
        return [*judged, *(next_name(x) for x in self.new_numbers), "sound"]

    def is_row(self, name: str) -> bool:
        """Whether a name stands for a row."""
        return name in _shapes(self.program) and _shapes(self.program)[name] != (1, 1)


def rows(program: Program, found: Deferral) -> Rows | None:
    """Return the step as arithmetic on rows, or None where something is no row.

    Parameters
    ----------
    program : Program
    found : Deferral

    Returns
    -------
    Rows or None

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from catapult_theory.codegen.lowering import loop_program
    >>> from catapult_theory.codegen.matrix_congruence import congruence
    >>> from catapult_theory.codegen.matrix_deferral import deferral
    >>> program = congruence(loop_program(ct.derive(ct.models.linear(inputs=4)))).program
    >>> rows(program, deferral(program, ["G"])).results
    ['now', 'grad_norm2', 'S_next', 'sound']
    """
    length = found.large.shape[0]
    if not isinstance(length, int) or not 1 < length <= LONGEST:
        return None
    small = [i.shape for i in program.state if i != found.large]
    nodes = [a.value for a in (*found.before, *found.after)]
    nodes += [n for f in found.factors for n in (f.left, f.right)]
    nodes += [n for name, n in program.outputs if name != next_name(found.large.code)]
    shapes = {(), (1, 1), (1, length)}
    if not all(s in shapes for s in (*small, *(n.shape for n in nodes))):
        return None
    if not all(_arithmetic(n) for n in nodes):
        return None
    found, fixed = _fixed(program, _early(program, found))
    read = set().union(*(ir.symbols_in(n) for n in (*nodes, found.probe)))
    mine = {a.name for a in found.before}
    later = set().union(*(ir.symbols_in(a.value) for a in found.after))
    later |= set().union(*(ir.symbols_in(n) for _, n in program.outputs))
    later |= {str(found.probe.value)} & read
    kept = [a for a in found.before if a.name in later & mine]
    begun = tuple(a.name for a in sorted(kept, key=lambda a: not a.value.shape))
    flat = Rows(length, program, found, begun, fixed)
    return flat if _sides(flat, _spelling("float64")) else None


def _early(program: Program, found: Deferral) -> Deferral:
    """Move the numbers that rest on no more than the probe does to where the probe is found."""
    known = {i.code for i in program.data} | {a.name for a in found.before}
    known |= {a.name for a in program.assignments if a.level < STEP}
    moved = []
    for a in found.after:
        if not a.value.shape and ir.symbols_in(a.value) <= known:
            moved.append(a)
            known.add(a.name)
    rest = tuple(a for a in found.after if a not in moved)
    return replace(found, before=(*found.before, *moved), after=rest)


def _fixed(program: Program, found: Deferral) -> tuple[Deferral, tuple[Assignment, ...]]:
    """Turn a (b g), with a number a and a row b that no step changes, into (a b) g.

    The name of b g becomes that of a b.
    """
    still = {i.code for i in program.data} | {a.name for a in program.assignments if a.level < STEP}
    before, after = list(found.before), [a.value for a in found.after]
    after += [n for f in found.factors for n in (f.left, f.right)]
    after += [node for _, node in program.outputs]
    elsewhere = set().union(*map(ir.symbols_in, after))
    fixed = []
    for a in found.before:
        sides = {str(x.value): x for x in a.value.args if x.op == "symbol"}
        users = [b for b in before if a.name in ir.symbols_in(b.value)]
        if a.value.op != "mul" or len(sides) != 2 or len(users) != 1 or a.name in elsewhere:
            continue
        number = [x for x in users[0].value.args if x.value != a.name]
        row = [x for name, x in sides.items() if name in still and x.shape]
        if users[0].value.op != "mul" or len(number) != 1 or len(row) != 1:
            continue
        if not number[0].shape and str(number[0].value) in still:
            (moving,) = (x for x in sides.values() if x != row[0])
            fixed.append(replace(a, value=ir.mul(number[0], row[0])))
            product = ir.mul(ir.symbol(a.name, a.value.shape), moving)
            before[before.index(users[0])] = replace(users[0], value=product)
            before.remove(a)
    return replace(found, before=tuple(before)), tuple(fixed)


def _arithmetic(node: Node) -> bool:
    """Whether rows and numbers can write it: sums, products, quotients, inner products."""
    if inner_product(node) is not None or not node.args:
        return node.op in ("number", "symbol", "matmul", "sum")
    if node.op == "transpose":
        return node.shape == (1, 1) and node.is_leaf
    if node.op == "outer":
        return node.args[0].shape == (1, 1) and all(_arithmetic(a) for a in node.args)
    return node.op in ("add", "mul", "div") and all(_arithmetic(a) for a in node.args)


def _shapes(program: Program) -> dict[str, ir.Shape]:
    """Return the shapes of everything that has one."""
    found = {i.code: i.shape for i in (*program.state, *program.data) if i.shape}
    return found | {a.name: a.value.shape for a in program.assignments if a.value.shape}


def _inputs(program: Program, nodes: Iterable[Node]) -> list[str]:
    """Return the names that expressions read from outside, in a fixed order."""
    nodes = list(nodes)
    wanted = set().union(*(ir.symbols_in(node) for node in nodes))
    order = [i.code for i in (*program.state, *program.data)]
    order += [a.name for a in program.assignments]
    order += [i.code for i in program.parameters] + list(program.dims)
    inside = {a.name for a in program.at_level(STEP) if a.value in nodes}
    return [name for name in order if name in wanted - inside]


def _spelling(dtype: str) -> Spelling:
    def leaf(node: Node) -> str:
        if node.op == "outer":
            return " * ".join(leaf(a) for a in node.args)
        return str(node.args[0].value if node.op == "transpose" else node.value)

    def refused(*given: object) -> str:
        raise NotImplementedError(given)

    return Spelling(lambda digits: literal(dtype, digits), leaf, refused, refused, {})


def texts(found: Rows, dtype: str) -> list[str]:
    """Return the functions ``before`` and ``after``.

    Parameters
    ----------
    found : Rows
    dtype : str

    Returns
    -------
    list of str
    """
    how = _spelling(dtype)
    first = [line_of(a.name, a.value, how) for a in found.deferral.before]
    begun = ", ".join(f"[{x}]" if found.is_row(x) else x for x in found.begun)
    head = f"before({', '.join(found.before_inputs)})"
    doc = "What the product with the large matrix is taken of."
    before = function(head, doc, first, f"({begun},)")
    named = [("now" if name == "loss" else name, node) for name, node in found.outputs]
    combined, second = _combined(found, how)
    second += [line for name, node in named for line in combined.outcome(name, node, how)]
    more, sides = _sides(found, how) or ([], [])
    second += more
    fresh = [next_name(x) for x in (*found.new_rows, *found.new_numbers)]
    product = found.deferral.product
    second += [
        f"sides = [{', '.join(sides)}]",
        f"sound = unsound({', '.join(fresh if _carried(found) else [*fresh, product])})",
    ]
    new = ", ".join(f"[{next_name(x)}]" for x in found.new_rows)
    head = f"after({', '.join(found.after_inputs)})"
    doc = "Verdicts, the small blocks of the new state, and the sides of the products that the\n"
    doc += "    large matrix grows by; sound is 0 where all is finite."
    result = f"({new}, sides, {', '.join(found.results)})"
    return [before, function(head, doc, second, result), _between(found)]


def _between(found: Rows) -> str:
    """Return the function ``between``: ``after``, and ``before`` of the step that follows."""
    new = ", ".join(f"[{next_name(x)}]" for x in found.new_rows)
    state = [*found.new_rows, *found.new_numbers]
    given = ", ".join(next_name(x) if x in state else x for x in found.before_inputs)
    begun = ", ".join([f"[{next_name(x)}]" for x in found.begun_rows] + _later(found))
    first = f"{new}, sides, {', '.join(found.results)}"
    lines = [
        f"{first} = after({', '.join(found.after_inputs)})",
        f"({begun},) = before({given})",
    ]
    rows_ = ", ".join([new, "sides", *(f"[{next_name(x)}]" for x in found.begun_rows)])
    result = f"({rows_}, {', '.join([*found.results, *_later(found)])})"
    head = f"between({', '.join(_between_inputs(found))})"
    return function(head, "From one product with the large matrix to the next.", lines, result)


def _between_inputs(found: Rows) -> list[str]:
    return list(dict.fromkeys([*found.after_inputs, *found.before_inputs]))


def _later(found: Rows) -> list[str]:
    """Return the names of the numbers that ``before`` gives for the step that follows."""
    return [next_name(x) for x in found.begun_numbers]


def _combined(found: Rows, how: Spelling) -> tuple[Combinations, list[str]]:
    """Return the combinations that ``after`` deals in, and its lines up to the outputs."""
    combined = Combinations()
    after = found.deferral.after
    return combined, [line for a in after for line in combined.lines(a.name, a.value, how)]


def side_count(found: Rows) -> int:
    """Return the number of rows in the products that the large matrix grows by."""
    made = _sides(found, _spelling("float64"))
    return len(made[1]) if made else 0


def _sides(found: Rows, how: Spelling) -> tuple[list[str], list[str]] | None:
    return _combined(found, how)[0].sides(found.deferral, how)


def _carried(found: Rows) -> bool:
    """Whether the product is a summand of the new state, which then is as sound as it."""

    def adds(node: Node) -> bool:
        if node.op in ("add", "mul"):
            return any(adds(a) for a in node.args if a.shape)
        return node.value == found.deferral.product

    return any(adds(node) for name, node in found.outputs if node.shape == (1, found.length))


def intrinsics(found: Rows) -> list[str]:
    """Return ``begin`` and ``finish``: ``before`` and ``between`` on the rows of one lane."""
    results = [*found.results, *_later(found)]
    heads = (
        ("begin", "before", found.before_inputs, found.begun_rows, found.begun_numbers),
        ("finish", "between", _between_inputs(found), written(found), results),
    )
    made = []
    for name, arithmetic, given, out, numbers in heads:
        row = next(x for x in given if found.is_row(x))
        kind = f"types.UniTuple({row}.dtype, {len(numbers)})" if numbers else "types.void"
        fresh = [x for x in out if x not in given]
        arguments = ", ".join([*given, *fresh])
        places = [[*given, *fresh].index(x) for x in out]
        made.append(
            f"@intrinsic\ndef {name}(typing, {arguments}):\n"
            f'    """Store {", ".join(out)}; {arithmetic} says how."""\n'
            f"    emit = along({arithmetic}, {len(given)}, {places}, {found.length})\n"
            f"    return {kind}({arguments}), emit"
        )
    return [*made, _move(found)] if found.new_rows else made


def _move(found: Rows) -> str:
    """Return the intrinsic that puts the new rows of the state in the place of the old ones."""
    given, out = [next_name(x) for x in found.new_rows], found.new_rows
    arguments, places = ", ".join([*given, *out]), [len(given) + k for k in range(len(out))]
    return (
        f"@intrinsic\ndef move(typing, {arguments}):\n"
        f'    """Copy {", ".join(given)} to {", ".join(out)}."""\n'
        f"    emit = along(copied, {len(given)}, {places}, {found.length})\n"
        f"    return types.void({arguments}), emit"
    )


def moved(found: Rows) -> list[str]:
    """Return the statement that calls ``move``."""
    rows_ = [*map(next_name, found.new_rows), *found.new_rows]
    return [f"move({', '.join(rows_)})"] if rows_ else []


def fixed_rows(found: Rows) -> dict[str, str]:
    """Return the texts of the rows that no step changes, by name."""
    how = _spelling("float64")
    return {a.name: write(a.value, how) for a in found.fixed}


def written(found: Rows) -> list[str]:
    """Return the arrays that ``finish`` writes."""
    return [*(next_name(x) for x in found.new_rows), "side_rows", *found.begun_rows]


def called(found: Rows) -> tuple[str, str]:
    """Return the statements that call ``begin`` and ``finish``."""

    begin = f"begin({', '.join([*found.before_inputs, *found.begun_rows])})"
    if found.begun_numbers:
        begin = f"{packed(found.begun_numbers)[1:-1]} = {begin}"
    given = _between_inputs(found)
    fresh = [x for x in written(found) if x not in given]
    finish = ", ".join([*given, *fresh])
    results = [*found.results, *_later(found)]
    return begin, f"{', '.join(results)} = finish({finish})"
