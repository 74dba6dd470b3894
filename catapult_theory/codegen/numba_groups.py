"""Short rows: eight lanes side by side, each entry of the state a vector over them.

Half of the large matrix is stored. A lane that is over gives its state back at once; what its
column holds after that is not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catapult_theory.codegen import numba_rows_parts as parts
from catapult_theory.codegen.bodies import names, packed, size_lines
from catapult_theory.codegen.numba_parts import filled, indented
from catapult_theory.codegen.numba_rows import Rows, fixed_rows, side_count
from catapult_theory.codegen.passes import DATA, PARAMETERS

if TYPE_CHECKING:
    from catapult_theory.codegen.numba_fused import Fused

# Beyond this the half matrix of eight lanes outgrows the first cache.
SHORT = 24

# Rows of the large matrix that are worked on at a time: sides, probe and product of five fit the
# 32 registers, beside those of a column.
ROWS = 5

# What the loop over steps keeps for each lane beside the quantities of the step.
KEPT = ("peak", "when", "largest", "now", "sound", "live", "diverging", "converging")

RUN = '''{JIT}
def run_groups(first, last, steps, {INPUTS}, loss, peak_loss, peak_step, status, status_step):
    """Run groups first to last of eight lanes; the state is replaced by the final one."""
    mode = rounding_mode()
    set_rounding_mode(np.uint32(mode | np.uint32(0x8040)))
{SIZES}
    block = padded({HEIGHT}, 8, {LARGE}_lanes).reshape(-1)[: 8 * {HEIGHT}].reshape({HEIGHT}, 8)
{STARTS}
{PREPARE}
    for group in range(first, last):
        low = 8 * group
        block[:] = 0.0
        for l in range(min(8, loss.size - low)):
            lane = low + l
{LOAD}
            block[{LIVE}, l] = 1.0
            status[lane], status_step[lane] = UNDECIDED, steps
            if {NAN}:
                block[{LIVE}, l] = 0.0
                status[lane], status_step[lane] = INVALID, 0
                loss[lane], peak_loss[lane], peak_step[lane] = np.nan, np.nan, 0
        begin_group(block)
        t = 0
        moving = True
        while moving:
            t = advance(block, steps, t)
            moving = False
            for l in range(min(8, loss.size - low)):
                lane = low + l
                if block[{LIVE}, l] == 0.0:
                    continue
                if block[{SOUND}, l] != 0.0 and not all_finite(block[{PRODUCT}, l : l + 1]):
                    block[{LIVE}, l] = 0.0
                    run(lane, lane + 1, steps, {GIVEN})
                    continue
                if block[{DIVERGING}, l] != 0.0:
                    status[lane], status_step[lane] = DIVERGED, t
                elif block[{CONVERGING}, l] != 0.0:
                    status[lane], status_step[lane] = CONVERGED, t
                elif t < steps and block[{SOUND}, l] != 0.0:
                    status[lane], status_step[lane] = DIVERGED, t + 1
                elif t < steps:
                    moving = True
                    continue
                block[{LIVE}, l] = 0.0
                loss[lane], peak_loss[lane] = block[{NOW}, l], block[{PEAK}, l]
                peak_step[lane] = block[{WHEN}, l]
                if t > 0:
{STORE}
    set_rounding_mode(mode)'''


def functions(fused_map: Fused) -> list[str]:
    """Return ``run_groups`` and what it needs, for maps with short rows.

    Parameters
    ----------
    fused_map : Fused

    Returns
    -------
    list of str
        Empty for other maps.
    """
    flat = fused_map.rows
    if flat is None or not fused_map.reduced or flat.length > SHORT:
        return []
    return [_constants(flat), parts.GROUP, _run(fused_map, flat)]


def _places(flat: Rows) -> dict[str, tuple[int, int]]:
    """Return the first row of the block, and the number of rows, of each name."""
    sizes = {
        name: flat.length if flat.is_row(name) else 1
        for name in (*flat.before_inputs, *flat.after_inputs)
    }
    sizes |= dict.fromkeys(KEPT, 1)
    sizes["sides"] = side_count(flat) * flat.length
    sizes[flat.deferral.large.code] = flat.length * (flat.length + 1) // 2
    found, first = {}, 0
    for name, size in sizes.items():
        found[name] = (first, size)
        first += size
    return found


def _constants(flat: Rows) -> str:
    in_rows = [name for name in (*flat.before_inputs, *flat.after_inputs) if flat.is_row(name)]
    lines = {
        "PLACES": _places(flat),
        "IN_ROWS": list(dict.fromkeys(in_rows)),
        "BEFORE": flat.before_inputs,
        "BEGUN": list(flat.begun),
        "AFTER": flat.after_inputs,
        "RESULTS": flat.results,
        "NEW_ROWS": flat.new_rows,
        "NEW_NUMBERS": flat.new_numbers,
        "LARGE": flat.deferral.large.code,
        "PROBE": flat.deferral.probe.value,
        "PRODUCT": flat.deferral.product,
        "LENGTH": flat.length,
        "ROWS": ROWS,
    }
    return "\n".join(f"{name} = {value!r}" for name, value in lines.items())


def _run(fused_map: Fused, flat: Rows) -> str:
    program, places = fused_map.program, _places(flat)
    state, parameters = names(program.state), names(program.parameters)
    once, each = ([a.name for a in program.at_level(level)] for level in (DATA, PARAMETERS))
    given = [f"{x}_lanes" for x in (*state, *parameters)] + names(program.data)
    given += fused_map.given
    prepare = [f"{packed(once)[1:-1]} = prepare({', '.join(names(program.data))})"] if once else []
    load = [f"{x} = {x}_lanes[lane]" for x in parameters]
    if each:
        arguments = ", ".join([*parameters, *names(program.data), *once])
        load.append(f"{packed(each)[1:-1]} = constants({arguments})")
    load += [f"{name} = {text}" for name, text in fixed_rows(flat).items()]
    load += _load(fused_map, flat)
    fields = {
        "INPUTS": ", ".join(given),
        "GIVEN": ", ".join([*given, "loss", "peak_loss", "peak_step", "status", "status_step"]),
        "HEIGHT": str(sum(size for _, size in places.values())),
        "STARTS": indented(_starts(flat), 1),
        "PREPARE": indented(prepare, 1),
        "LOAD": indented(load, 3),
        "NAN": " or ".join(
            [
                *(f"np.isnan({x})" for x in parameters),
                *(f"np.isnan(dot({x}_lanes[lane], {x}_lanes[lane]))" for x in state),
            ]
        ),
        "STORE": indented(_store(fused_map, flat), 5),
        "PRODUCT": _span(places[flat.deferral.product]),
        **{name.upper(): str(places[name][0]) for name in KEPT},
        "LARGE": flat.deferral.large.code,
    }
    text = "\n".join(fields.values())
    fields["SIZES"] = indented(size_lines(program, text.splitlines()), 1)
    return filled(RUN, fields)


def _span(place: tuple[int, int]) -> str:
    return f"{place[0]} : {sum(place)}"


def _turned(fused_map: Fused, x: str) -> str:
    rows, columns = fused_map.turned[x]
    return f"turned({x}_lanes[lane], basis, {rows}, {columns})"


def _starts(flat: Rows) -> list[str]:
    """Return the lines that make room for the turned starts of a group."""
    large, side = flat.deferral.large.code, flat.length
    sizes = {**dict.fromkeys(flat.new_rows, 1), large: side}
    return [
        f"{x}_starts = np.empty((8, {rows}, {side}), {large}_lanes.dtype)"
        for x, rows in sizes.items()
    ]


def _load(fused_map: Fused, flat: Rows) -> list[str]:
    """Return the lines that put everything a lane reads into its column of the block."""
    places, large = _places(flat), flat.deferral.large.code
    lines = [f"{x}_starts[l] = {_turned(fused_map, x)}" for x in (*flat.new_rows, large)]
    lines += [f"block[{_span(places[x])}, l] = {x}_starts[l, 0]" for x in flat.new_rows]
    lines += [f"block[{places[x][0]}, l] = {x}_lanes[lane, 0, 0]" for x in flat.new_numbers]
    lines += [
        f"for i in range({flat.length}):",
        "    for j in range(i + 1):",
        f"        block[{places[large][0]} + i * (i + 1) // 2 + j, l] = {large}_starts[l, i, j]",
    ]
    inside = {
        *flat.new_rows,
        *flat.new_numbers,
        *flat.begun,
        *KEPT,
        large,
        flat.deferral.product,
        "sides",
    }
    for name in places:
        if name not in inside:
            value = f"{name}[0]" if flat.is_row(name) else name
            lines.append(f"block[{_span(places[name])}, l] = {value}")
    return lines


def _store(fused_map: Fused, flat: Rows) -> list[str]:
    """Return the lines that give the state of a lane back, turned blocks by their change."""
    places, large = _places(flat), flat.deferral.large.code
    lines = []
    for x in flat.new_rows:
        rows, columns = fused_map.turned[x]
        lines += [
            f"row = {x}_starts[l]",
            f"row[0] = block[{_span(places[x])}, l] - row[0]",
            f"{x}_lanes[lane] += turned(row, basis.T, {rows}, {columns})",
        ]
    lines += [f"{x}_lanes[lane, 0, 0] = block[{places[x][0]}, l]" for x in flat.new_numbers]
    rows, columns = fused_map.turned[large]
    return [
        *lines,
        f"start = {large}_starts[l]",
        f"for i in range({flat.length}):",
        "    for j in range(i + 1):",
        f"        entry = block[{places[large][0]} + i * (i + 1) // 2 + j, l]",
        "        start[i, j] = start[j, i] = entry - start[i, j]",
        f"{large}_lanes[lane] += turned(start, basis.T, {rows}, {columns})",
    ]
