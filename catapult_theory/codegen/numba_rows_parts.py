"""Arithmetic on rows of vectors, for the generated module: plain expressions that emit code.

The equations of a step are written once, as ordinary functions of rows and numbers. Called with
rows along one lane, or with rows of eight lanes side by side, they emit straight-line code.
"""

from __future__ import annotations

ROWS = '''class Value:
    """A number, or a vector of numbers, in code under way."""

    def __init__(self, builder, code):
        self.builder, self.code = builder, code

    def like(self, kind):
        """Return the IR value as this kind, spread over a vector if it is one."""
        if self.code.type == kind:
            return self.code
        return splat(self.builder, self.code, kind)

    def joined(self, other, operation):
        """Emit an operation with a number or a value; whichever is a vector decides the kind."""
        if isinstance(other, Row):
            return NotImplemented
        if not isinstance(other, Value):
            real = getattr(self.code.type, "element", self.code.type)
            other = Value(self.builder, ir.Constant(real, float(other)))
        vectors = [x.code.type for x in (self, other) if isinstance(x.code.type, ir.VectorType)]
        kind = vectors[0] if vectors else self.code.type
        emit = getattr(self.builder, operation)
        return Value(self.builder, emit(self.like(kind), other.like(kind), flags=("contract",)))

    def __add__(self, other):
        return self.joined(other, "fadd")

    def __sub__(self, other):
        return self.joined(other, "fsub")

    def __mul__(self, other):
        return self.joined(other, "fmul")

    def __truediv__(self, other):
        return self.joined(other, "fdiv")

    def __neg__(self):
        return Value(self.builder, self.builder.fneg(self.code))

    def __radd__(self, other):
        return self + other

    def __rsub__(self, other):
        return -self + other

    def __rmul__(self, other):
        return self * other


class Row:
    """Entries of a row: values side by side, or (along) vectors that each hold several."""

    def __init__(self, entries, along):
        self.entries, self.along = entries, along

    def joined(self, other, operation):
        """Emit an operation on every entry."""
        others = other.entries if isinstance(other, Row) else [other] * len(self.entries)
        pairs = zip(self.entries, others)
        return Row([getattr(x, operation)(y) for x, y in pairs], self.along)

    def __add__(self, other):
        return self.joined(other, "__add__")

    def __sub__(self, other):
        return self.joined(other, "__sub__")

    def __mul__(self, other):
        return self.joined(other, "__mul__")

    def __truediv__(self, other):
        return self.joined(other, "__truediv__")

    def __neg__(self):
        return Row([-x for x in self.entries], self.along)

    def __radd__(self, other):
        return self + other

    def __rsub__(self, other):
        return -self + other

    def __rmul__(self, other):
        return self * other


def total(row):
    """Return the sum over a row, in four partial sums."""
    parts = [row.entries[i::4] for i in range(min(4, len(row.entries)))]
    sums = []
    for part in parts:
        first = part[0]
        for x in part[1:]:
            first = first + x
        sums.append(first)
    while len(sums) > 1:
        sums = [sum(sums[i + 1 : i + 2], sums[i]) for i in range(0, len(sums), 2)]
    (value,) = sums
    return across(value) if row.along else value


def across(value):
    """Return the sum of the entries of a vector."""
    builder, code = value.builder, value.code
    index, half = ir.IntType(32), code.type.count // 2
    while half:
        mask = ir.Constant(ir.VectorType(index, half), list(range(half)))
        rest = ir.Constant(ir.VectorType(index, half), list(range(half, 2 * half)))
        empty = ir.Constant(code.type, ir.Undefined)
        halves = (builder.shuffle_vector(code, empty, m) for m in (mask, rest))
        code, half = builder.fadd(*halves), half // 2
    return Value(builder, builder.extract_element(code, ir.Constant(index, 0)))


def inner(x, y):
    """Return the sum of the products of two rows."""
    return total(x * y)


def unsound(*parts):
    """Return 0 where every entry of rows and numbers is finite, NaN elsewhere."""
    rows = [x - x for x in parts if isinstance(x, Row)]
    numbers = [x - x for x in parts if not isinstance(x, Row)]
    return sum(numbers, total(sum(rows[1:], rows[0])))'''

ALONG = '''def along(arithmetic, inputs, outputs, length):
    """Return the code of an intrinsic: arithmetic on rows of one lane.

    The first arguments are read: arrays as rows of the padded length, numbers as they are. The
    arguments at the places of outputs take the first results, a list of rows each; other results
    are returned.
    """

    def emit(context, builder, signature, arguments):
        align_stack(builder)
        numbers = next(k.dtype for k in signature.args if isinstance(k, types.Array))
        real = context.get_value_type(numbers)
        size = context.get_abi_sizeof(real)
        count = -(-length * size // WIDE) * WIDE // BYTES
        vector, index = ir.VectorType(real, BYTES // size), ir.IntType(64)

        def place(base, k):
            step = ir.Constant(index, k * (BYTES // size))
            return builder.bitcast(builder.gep(base, [step]), vector.as_pointer())

        def opened(kind, argument):
            if not isinstance(kind, types.Array):
                return Value(builder, context.cast(builder, argument, kind, numbers))
            base = context.make_array(kind)(context, builder, argument).data
            vectors = [builder.load(place(base, k), align=BYTES) for k in range(count)]
            return Row([Value(builder, x) for x in vectors], along=True)

        pairs = list(zip(signature.args, arguments))
        results = list(arithmetic(*(opened(*pair) for pair in pairs[:inputs])))
        for kind, argument in (pairs[k] for k in outputs):
            base = context.make_array(kind)(context, builder, argument).data
            entries = [x for row in results.pop(0) for x in row.entries]
            for k, x in enumerate(entries):
                builder.store(x.code, place(base, k), align=BYTES)
        if not results:
            return context.get_dummy_value()
        return context.make_tuple(builder, signature.return_type, [x.code for x in results])

    return emit


def copied(*rows):
    """Return rows as they are."""
    return [[x] for x in rows]'''

TILED = '''{JIT}
def tiled(rows):
    """Return a copy in whole tiles."""
    out = padded(rows.shape[0], rows.shape[1], rows)
    out[: rows.shape[0], : rows.shape[1]] = rows
    return out'''

GROUP = '''class Group:
    """Eight lanes side by side: each name has its places in a block of rows of eight."""

    def __init__(self, context, builder, kind, block, moving=()):
        self.builder, self.registers = builder, {}
        self.base = context.make_array(kind)(context, builder, block).data
        self.real = context.get_value_type(kind.dtype)
        self.vector = ir.VectorType(self.real, 8)
        for name in moving:
            first, count = PLACES[name]
            for k in range(first, first + count):
                code = self.at(k).code
                self.registers[k] = cgutils.alloca_once_value(builder, code)

    def close(self):
        """Store what was held in registers."""
        for k, register in self.registers.items():
            self.builder.store(self.builder.load(register), self.place(k), align=32)

    def place(self, k):
        """Return the address of a row of the block."""
        index = ir.Constant(ir.IntType(64), 8 * k)
        return self.builder.bitcast(self.builder.gep(self.base, [index]), self.vector.as_pointer())

    def at(self, k):
        """Return a row of the block, from its register if it has one."""
        place = self.registers.get(k)
        return Value(self.builder, self.builder.load(place or self.place(k), align=32))

    def get(self, name):
        """Return a row or a number by name."""
        first, count = PLACES[name]
        values = [self.at(first + k) for k in range(count)]
        return Row(values, along=False) if name in IN_ROWS else values[0]

    def put(self, name, value):
        """Store a row or a number by name."""
        values = value.entries if isinstance(value, Row) else [value]
        for k, x in enumerate(values, PLACES[name][0]):
            place = self.registers.get(k)
            self.builder.store(x.like(self.vector), place or self.place(k), align=32)

    def number(self, x):
        """Return a number for each lane."""
        return ir.Constant(self.vector, [x] * 8)

    def where(self, mask, value, other):
        """Return one of two values, lane by lane."""
        codes = (x.code if isinstance(x, Value) else self.number(x) for x in (value, other))
        return Value(self.builder, self.builder.select(mask, *codes))

    def fence(self):
        """Read again what follows: held from before it would not fit the registers."""
        self.builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)

    def entry(self, name, i, row=0):
        """Return one entry of a row, or of one of several rows under a name."""
        return self.at(PLACES[name][0] + row * LENGTH + i)

    def set_entry(self, name, i, value):
        """Store one entry of a row."""
        self.builder.store(value.code, self.place(PLACES[name][0] + i), align=32)

    def renew(self):
        """Add p^T a + a^T p for each pair of sides to the large matrix; multiply the probe by it.

        Half of the matrix is stored. A few of its rows stay in registers at a time.
        """
        for first in range(0, LENGTH, ROWS):
            self.fence()
            last = min(first + ROWS, LENGTH)
            mine = {i: self.column(i) for i in range(first, last)}
            sums = {i: Value(self.builder, self.number(0.0)) for i in mine}
            for j in range(last):
                theirs, probe = mine.get(j) or self.column(j)
                other = sums[j] if j in sums else self.entry(PRODUCT, j)
                for i in range(max(first, j), last):
                    (sides, own), k = mine[i], PLACES[LARGE][0] + i * (i + 1) // 2 + j
                    value = self.at(k)
                    for s, x in enumerate(sides):
                        value = value + x * theirs[s ^ 1]
                    self.builder.store(value.code, self.place(k), align=32)
                    if i == j:
                        other = other + value * own
                    else:
                        other, sums[i] = other + value * own, sums[i] + value * probe
                if j in sums:
                    sums[j] = other
                else:
                    self.set_entry(PRODUCT, j, other)
            for i, x in sums.items():
                self.set_entry(PRODUCT, i, x)

    def column(self, i):
        """Return entry i of all sides, and of the probe."""
        return [self.entry("sides", i, s) for s in range(SIDES)], self.entry(PROBE, i)

    def begin(self):
        """Store what the probe rests on, and the probe."""
        for name, value in zip(BEGUN, before(*(self.get(name) for name in BEFORE))):
            self.put(name, value[0] if isinstance(value, list) else value)


@intrinsic
def begin_group(typing, block):
    """Prepare the first step."""

    def emit(context, builder, signature, arguments):
        group = Group(context, builder, signature.args[0], arguments[0])
        group.begin()
        group.renew()
        return context.get_dummy_value()

    return types.void(block), emit


@intrinsic
def advance(typing, block, steps, t):
    """Take steps from t until a lane is over or steps are done; return the step reached."""

    def emit(context, builder, signature, arguments):
        align_stack(builder)
        moving = ["peak", "when", "largest"]
        group = Group(context, builder, signature.args[0], arguments[0], moving)
        steps, start = arguments[1:]
        flag, many = ir.VectorType(ir.IntType(1), 8), steps.type
        counter = cgutils.alloca_once_value(builder, start)
        head, go, out = (builder.append_basic_block(n) for n in ("step", "go", "out"))
        builder.branch(head)
        builder.position_at_end(head)
        t = builder.load(counter)
        results = list(after(*(group.get(name) for name in AFTER)))
        new = [results.pop(0)[0] for _ in NEW_ROWS]
        sides = results.pop(0)
        found = dict(zip(RESULTS, results))
        now, zero = found["now"].code, group.number(0.0)
        first = splat(builder, builder.icmp_signed("==", t, ir.Constant(many, 0)), flag)
        peak = group.get("peak")
        higher = builder.or_(builder.fcmp_ordered(">", now, peak.code), first)
        step = Value(builder, splat(builder, builder.sitofp(t, group.real), group.vector))
        group.put("peak", group.where(higher, found["now"], peak))
        group.put("when", group.where(higher, step, group.get("when")))
        diverging = builder.fcmp_ordered(">", now, group.number(BOUND))
        converging = ir.Constant(flag, [0] * 8)
        if "grad_norm2" in found:
            norm, largest = found["grad_norm2"], group.get("largest")
            larger = builder.fcmp_ordered(">", norm.code, largest.code)
            largest = group.where(larger, norm, largest)
            group.put("largest", largest)
            limit = (largest * TOLERANCE).code
            converging = builder.fcmp_ordered("<=", norm.code, limit)
            if "rounding" in found:
                limit = (found["rounding"] * ROUNDING).code
                also = builder.fcmp_ordered("<=", norm.code, limit)
                converging = builder.or_(converging, also)
        alive = builder.fcmp_ordered("!=", group.get("live").code, zero)
        lost = builder.fcmp_unordered("!=", found["sound"].code, zero)
        over = builder.or_(builder.or_(diverging, converging), lost)
        over = builder.bitcast(builder.and_(over, alive), ir.IntType(8))
        some = builder.icmp_unsigned("!=", over, ir.Constant(ir.IntType(8), 0))
        ended = builder.icmp_signed(">=", t, steps)
        builder.cbranch(builder.or_(some, ended), out, go)
        builder.position_at_end(go)
        for name, value in zip(NEW_ROWS, new):
            group.put(name, value)
        for name in NEW_NUMBERS:
            group.put(name, found[name + "_next"])
        group.put("sides", Row([x for side in sides for x in side.entries], along=False))
        group.begin()
        group.renew()
        builder.store(builder.add(t, ir.Constant(many, 1)), counter)
        builder.branch(head)
        builder.position_at_end(out)
        flags = {"diverging": diverging, "converging": converging}
        for name, mask in flags.items():
            group.put(name, group.where(mask, 1.0, 0.0))
        for name in ("now", "sound"):
            group.put(name, found[name])
        group.close()
        return t

    return types.intp(block, types.intp, types.intp), emit'''
