"""Matrix maps in one pass a step, for the Numba target.

Where the lowered program allows, the product with the large state matrix is deferred into the
pass that renews it (`matrix_deferral`) and the inputs are made diagonal (`matrix_congruence`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catapult_theory.codegen import ir, numba_groups, numba_rows
from catapult_theory.codegen import numba_fused_parts as parts
from catapult_theory.codegen import numba_packed_parts as packed_parts
from catapult_theory.codegen import numba_rows_parts as rows_parts
from catapult_theory.codegen.bodies import names, packed, size_lines
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import (
    Program,
    code_name,
    judged_names,
    next_name,
    squares,
)
from catapult_theory.codegen.matrix_congruence import Congruence, congruence
from catapult_theory.codegen.matrix_deferral import Deferral, deferral
from catapult_theory.codegen.numba_parts import filled, indented, judgement
from catapult_theory.codegen.numba_rows import Rows, rows
from catapult_theory.codegen.numba_statements import Writer
from catapult_theory.codegen.passes import DATA, PARAMETERS
from catapult_theory.codegen.sharing import Assignment

RUN = '''{JIT}
def run(first, last, steps, {INPUTS}, loss, peak_loss, peak_step, status, status_step):
    """Run lanes first to last - 1; the states are replaced by the final ones.

    Fill loss, peak_loss, peak_step, status and status_step, one number a lane; return nothing.
    """
    mode = rounding_mode()
    set_rounding_mode(np.uint32(mode | np.uint32(0x8040)))
{SIZES}
    reach = {REACH}
{BUFFERS}
{PREPARE}
    for lane in range(first, last):
        careful = False
        while True:
{LOAD}
            peak, when, largest, now = -np.inf, 0, 0.0, np.nan
            verdict, decided, t = UNDECIDED, steps, 0
            if {NAN}:
                verdict, decided, peak, t = INVALID, 0, np.nan, -1
            again = False
{START}
            while verdict == UNDECIDED:
{BEFORE}
                if careful:
                    kept[:] = {LARGE}
                {PASS}
                if careful and t > 0 and not all_finite({LARGE}):
                    {LARGE}[:] = kept
{BACK}
                    verdict, decided, t = DIVERGED, t, t - 1
                    break
{AFTER}
                if not careful and {UNSEEN}:
                    again = True
                    break
                if now > peak or t == 0:
                    peak, when = now, t
{LARGEST}
                if {DIVERGED}:
                    verdict, decided = DIVERGED, t
{CONVERGED}
                elif t == steps:
                    break
                elif {OVERFLOWED}:
                    verdict, decided = DIVERGED, t + 1
                else:
{FACTORS}
{SWAP}
                    t += 1
            if not again:
                break
            careful = True
        loss[lane], peak_loss[lane], peak_step[lane] = now, peak, when
        status[lane], status_step[lane] = verdict, decided
        if t > 0:
{STORE}
    set_rounding_mode(mode)'''


@dataclass(frozen=True)
class Fused:
    """A matrix map that takes one pass over its large matrix a step.

    Parameters
    ----------
    program : Program
        As lowered.
    reduced : Congruence or None
        The program with diagonal inputs, where there is one.
    deferral : Deferral
        Of the reduced program, or of the program itself.
    rows : Rows or None
        The step as arithmetic on rows, where it is that.
    """

    program: Program
    reduced: Congruence | None
    deferral: Deferral
    rows: Rows | None

    @property
    def body(self) -> Program:
        """The program whose steps are emitted."""
        return self.reduced.program if self.reduced else self.program

    @property
    def turned(self) -> Mapping[str, tuple[bool, bool]]:
        """For each state matrix whether its rows and columns are in the turned basis."""
        return self.reduced.turned if self.reduced else {}

    @property
    def given(self) -> list[str]:
        """The names of what ``diagonal`` gives."""
        return ["basis", "rank", "scale", "target", "rest"] if self.reduced else []


def fused(update_map: Any, program: Program) -> Fused | None:
    """Return how a map runs in one pass a step, or None where it does not.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
        From `loop_program`.

    Returns
    -------
    Fused or None

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from catapult_theory.codegen.lowering import loop_program
    >>> linear = ct.derive(ct.models.linear(inputs=4))
    >>> fused(linear, loop_program(linear)).deferral.large.name
    'G'
    """
    symmetric = [code_name(block.name) for block in squares(update_map.gram)]
    reduced = congruence(program)
    body = reduced.program if reduced else program
    found = deferral(body, symmetric)
    flat = rows(body, found) if found and reduced else None
    return Fused(program, reduced, found, flat) if found else None


@dataclass(frozen=True)
class _Text(Writer):
    """Statements with sums of products as vector code."""

    def statement(self, target: str, node: Node) -> list[str]:
        """Return the lines of a named quantity."""
        pair = _contracted(node)
        if pair is None:
            return super().statement(target, node)
        place = f"{target}[0, 0]" if node.shape else target
        return [f"{place} = dot({pair[0]}, {pair[1]})"]


def _contracted(node: Node) -> tuple[str, str] | None:
    """Return the two arrays whose entries are multiplied and summed, if it is that."""
    if node.op == "sum" and node.args[0].op == "mul":
        sides = node.args[0].args
        same = len(sides) == 2 and all(a.op == "symbol" and a.shape for a in sides)
        return (str(sides[0].value), str(sides[1].value)) if same else None
    if node.op == "matmul" and node.shape == (1, 1):
        left, right = node.args
        if left.op == "symbol" and right.op == "transpose":
            return str(left.value), str(right.args[0].value)
    return None


def functions(fused_map: Fused, dtype: str) -> list[str]:
    """Return the function ``run`` and, where the inputs are made diagonal, ``diagonal``.

    Parameters
    ----------
    fused_map : Fused
    dtype : str

    Returns
    -------
    list of str
    """
    writer = _Text(fused_map.body, dtype)
    texts = [parts.DOT, parts.DENORMALS, parts.PADDED]
    if fused_map.reduced:
        texts += [parts.TURN, parts.DIAGONAL]
    if fused_map.rows:
        texts += [f"SIDES = {numba_rows.side_count(fused_map.rows)}"]
        texts += [packed_parts.PACKING, packed_parts.PASS]
        texts += [rows_parts.ROWS, rows_parts.ALONG, rows_parts.TILED]
        texts += [*numba_rows.texts(fused_map.rows, dtype), *numba_rows.intrinsics(fused_map.rows)]
    else:
        texts.append(parts.SWEEP)
    texts.append(_run(fused_map, writer))
    return [*texts, *numba_groups.functions(fused_map)]


def _run(fused_map: Fused, writer: _Text) -> str:
    program, found, flat = fused_map.program, fused_map.deferral, fused_map.rows
    large, state = found.large.code, names(program.state)
    parameters = names(program.parameters)
    once, each = ([a.name for a in program.at_level(level)] for level in (DATA, PARAMETERS))
    buffers = _buffers(fused_map, writer)
    prepare = [f"{packed(once)[1:-1]} = prepare({', '.join(names(program.data))})"] if once else []
    load = [line for x in state for line in _load(fused_map, x)]
    load += [f"{x} = {x}_lanes[lane]" for x in parameters]
    if each:
        given = ", ".join([*parameters, *names(program.data), *once])
        load.append(f"{packed(each)[1:-1]} = constants({given})")
    if flat:
        load += [f"{x}_kept = {x}" for x in flat.new_numbers]
        span = f"[:1, :{flat.length}]"
        fixed = numba_rows.fixed_rows(flat).items()
        load += [f"{name}{span} = ({text}){span}" for name, text in fixed]
    load += [f"{x}[:] = 0.0" for x in _sides(fused_map)]
    small = [x for x in state if x != large]
    sound = [f"all_finite({next_name(x)})" for x in small]
    swap = [f"{x}, {next_name(x)} = {next_name(x)}, {x}" for x in small]
    fields = {
        "INPUTS": ", ".join(
            [
                *(f"{x}_lanes" for x in (*state, *parameters)),
                *names(program.data),
                *fused_map.given,
            ]
        ),
        "BUFFERS": indented(buffers, 1),
        "PREPARE": indented(prepare, 1),
        "LOAD": indented(load, 3),
        "NAN": " or ".join(
            [
                *(f"np.isnan({x})" for x in parameters),
                *(f"np.isnan(dot({x}_lanes[lane], {x}_lanes[lane]))" for x in state),
            ]
        ),
        "START": indented([numba_rows.called(flat)[0]], 3) if flat else "",
        "BEFORE": "" if flat else indented(_before(fused_map, writer), 4),
        "AFTER": indented(_after(fused_map, writer), 4),
        "LARGE": large,
        "REACH": _reach(fused_map),
        "PASS": _pass(fused_map),
        "UNSEEN": ("sound != 0.0 and " if flat else "") + f"not all_finite({found.product})",
        "OVERFLOWED": "sound != 0.0" if flat else f"not ({' and '.join(sound)})",
        "FACTORS": "" if flat else indented(_factor_rows(found, writer), 5),
        "SWAP": indented(_onward(flat) if flat else swap, 5),
        "BACK": indented(_back(flat) if flat else swap, 5),
        "STORE": indented([line for x in state for line in _store(fused_map, x)], 3),
        **_deeper(judgement(program, "")),
    }
    text = "\n".join(fields.values())
    fields["SIZES"] = indented(size_lines(program, text.splitlines()), 1)
    return filled(RUN, fields)


def _deeper(judged: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of a judgement one level further in."""
    return {
        key: "\n".join(f"    {line}" for line in text.splitlines()) if "\n" in text else text
        for key, text in judged.items()
    }


def _onward(flat: Rows) -> list[str]:
    """Return the lines that go on to the new state; copies cost less than counted references."""
    kept = [f"    {x}_kept[:] = {x}" for x in flat.new_rows]
    kept += [f"    {x}_kept = {x}" for x in flat.new_numbers]
    numbers = [*flat.new_numbers, *flat.begun_numbers]
    return [
        "if careful:",
        *kept,
        *numba_rows.moved(flat),
        *(f"{x} = {next_name(x)}" for x in numbers),
    ]


def _back(flat: Rows) -> list[str]:
    """Return the lines that go back to the state before."""
    return [
        *(f"{x}[:] = {x}_kept" for x in flat.new_rows),
        *(f"{x} = {x}_kept" for x in flat.new_numbers),
    ]


def _reach(fused_map: Fused) -> str:
    """Return the number of rows that the product reads, in whole tiles or blocks."""
    if fused_map.rows:
        return f"in_blocks(rank, {_like(fused_map)})"
    rank = "rank" if fused_map.reduced else str(fused_map.deferral.large.shape[0])
    return f"-(-{rank} // TALL) * TALL"


def _like(fused_map: Fused) -> str:
    return f"{fused_map.deferral.large.code}_lanes"


def _pass(fused_map: Fused) -> str:
    """Return the statement of the pass over the large matrix."""
    found = fused_map.deferral
    large, (side, _) = found.large.code, found.large.shape
    if fused_map.rows:
        ends = f"{found.probe.value}, {found.product}"
        return f"packed_pass({large}, side_rows, {ends}, {side}, reach)"
    counts = f"reach, {_ranks(fused_map)}, {found.probe.shape[0]}"
    return f"sweep({large}, left_rows, right_rows, probe_rows, product_rows, {counts})"


def _sides(fused_map: Fused) -> list[str]:
    """Return the buffers of what the large matrix grows by."""
    return ["side_rows"] if fused_map.rows else ["left_rows", "right_rows"]


def _total(sizes: Sequence[ir.Size]) -> str:
    fixed = sum(s for s in sizes if isinstance(s, int))
    return " + ".join([*(s for s in sizes if isinstance(s, str)), *([str(fixed)] * bool(fixed))])


def _ranks(fused_map: Fused) -> str:
    """Return the number of products that the large matrix grows by in a step."""
    return _total([f.rows for f in fused_map.deferral.factors])


def _buffers(fused_map: Fused, writer: _Text) -> list[str]:
    found, program, like = fused_map.deferral, fused_map.program, _like(fused_map)
    if fused_map.rows:
        return _row_buffers(fused_map.rows, like)
    large, side, height = found.large, str(found.large.shape[0]), str(found.probe.shape[0])
    product = Assignment(found.product, ir.symbol(found.product, found.probe.shape), 2)
    lines = writer.buffers([*found.before, product, *found.after], like)
    for i in program.state:
        if i != large:
            shape = f"({i.shape[0]}, {i.shape[1]})"
            lines += [
                f"{name} = np.empty({shape}, {like}.dtype)" for name in (i.code, next_name(i.code))
            ]
    tiles = dict.fromkeys(_sides(fused_map), _ranks(fused_map))
    tiles |= {large.code: side, "kept": side, "probe_rows": height, "product_rows": height}
    return [*lines, *(f"{x} = padded({count}, {side}, {like})" for x, count in tiles.items())]


def _row_buffers(flat: Rows, like: str) -> list[str]:
    """Return the lines that make the buffers of a step that is arithmetic on rows."""
    taken = {*flat.before_inputs, *flat.after_inputs}
    given = [i.code for i in flat.program.data if i.shape and i.code in taken]
    rows_ = [*(a.name for a in flat.fixed), *flat.begun_rows, flat.deferral.product]
    rows_ += [name for x in flat.new_rows for name in (x, next_name(x), f"{x}_kept")]
    tiles = {"side_rows": numba_rows.side_count(flat), **dict.fromkeys(rows_, 1)}
    large = (flat.deferral.large.code, "kept")
    return [
        *(f"{x} = tiled({x})" for x in given),
        *(f"{x} = blocks({flat.length}, reach, {like})" for x in large),
        *(f"{x} = padded({count}, {flat.length}, {like})" for x, count in tiles.items()),
    ]


def _load(fused_map: Fused, x: str) -> list[str]:
    turned = fused_map.turned.get(x, (False, False))
    given = f"{x}_lanes[lane]"
    lines = []
    if fused_map.rows and x in fused_map.rows.new_numbers:
        return [f"{x} = {x}_lanes[lane, 0, 0]"]
    if any(turned):
        lines = [f"{x}_start = turned({given}, basis, {turned[0]}, {turned[1]})"]
        given = f"{x}_start"
    if fused_map.rows and x == fused_map.deferral.large.code:
        return [*lines, f"pack({given}, reach, {x})"]
    return [*lines, f"{_given(fused_map, x)} = {given}"]


def _given(fused_map: Fused, x: str) -> str:
    """Return the part of a buffer that holds a block of the state."""
    side, flat = fused_map.deferral.large.shape[0], fused_map.rows
    if x == fused_map.deferral.large.code:
        return f"{x}[:{side}, :{side}]"
    return f"{x}[:1, :{side}]" if flat and x in flat.new_rows else f"{x}[:]"


def _store(fused_map: Fused, x: str) -> list[str]:
    """Return the lines that give a block back; a turned one by its change, turned back."""
    large = fused_map.deferral.large
    turned = fused_map.turned.get(x, (False, False))
    value = _given(fused_map, x)
    if fused_map.rows and x in fused_map.rows.new_numbers:
        return [f"{x}_lanes[lane, 0, 0] = {x}"]
    if not any(turned):
        return [f"{x}_lanes[lane] = {value}"]
    if x == large.code and fused_map.rows:
        lines = [f"unpack_change({x}, reach, {x}_start)"]
    else:
        lines = [f"{x}_start[:] = {value} - {x}_start"]
        if x == large.code:
            lines.append(f"{x}_start[rank:, :rank] = {x}_start[:rank, rank:].T")
    return [*lines, f"{x}_lanes[lane] += turned({x}_start, basis.T, {turned[0]}, {turned[1]})"]


def _before(fused_map: Fused, writer: _Text) -> list[str]:
    """Return the lines up to the probe, and the probe as a row of the pass."""
    found = fused_map.deferral
    logs = _logs(found)
    lines: list[str] = []
    for a in found.before:
        if a.value.op == "softmax" and a.value.args in logs:
            rows = str(a.value.args[0].value)
            lines.append(f"softmax_logsumexp({rows}, {a.name}, {logs[a.value.args]})")
        else:
            lines += writer.statement(a.name, a.value)
    return lines + writer.over(found.probe.shape, f"probe_rows[i, j] = {found.probe.value}[i, j]")


def _logs(found: Deferral) -> dict[tuple[Node, ...], str]:
    """Return the sums of exponentials of the step: softmax has worked them out as well."""
    return {a.value.args: a.name for a in found.after if a.value.op == "logsumexp"}


def _after(fused_map: Fused, writer: _Text) -> list[str]:
    """Return the lines from the product on: verdicts, and the small blocks of the new state."""
    found, program = fused_map.deferral, fused_map.body
    if fused_map.rows:
        return [numba_rows.called(fused_map.rows)[1]]
    lines = writer.over(found.probe.shape, f"{found.product}[i, j] = product_rows[i, j]")
    early = {a.value.args for a in found.before if a.value.op == "softmax"}
    for a in found.after:
        if a.value.op != "logsumexp" or a.value.args not in early:
            lines += writer.statement(a.name, a.value)
    judged = judged_names(program)
    for name, node in program.outputs:
        if name != next_name(found.large.code):
            target = "now" if name == "loss" and name in judged else name
            lines += writer.statement(target, node)
    return lines


def _factor_rows(found: Deferral, writer: _Text) -> list[str]:
    """Return the lines that write the rows of A and B of the next pass."""
    lines: list[str] = []
    before: list[ir.Size] = []
    for factor in found.factors:
        row = " + ".join(["i", *([_total(before)] if before else [])])
        lines += writer.over(factor.left.shape, f"left_rows[{row}, j] = {factor.left.value}[i, j]")
        value = writer.entry(factor.right)
        lines += writer.over(factor.left.shape, f"right_rows[{row}, j] = {value}")
        before.append(factor.rows)
    return lines


__all__ = ["Fused", "functions", "fused"]
