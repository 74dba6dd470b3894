"""Packed storage of a large symmetric matrix, and the pass over it, for the generated module.

Half of the entries are held, block row after block row, in the order in which the pass meets
them. Each is loaded and stored once a step and takes part in the product twice: with the entry
of its column for its row, with the entry of its row for its column.
"""

from __future__ import annotations

PACKING = '''{JIT}
def in_blocks(count, like):
    """Return a number of rows, rounded up to whole blocks of two vectors."""
    wide = 2 * BYTES // like.itemsize
    return -(-count // wide) * wide


{JIT}
def blocks(side, reach, like):
    """Return zeros for a packed symmetric matrix, of which the first columns are held."""
    wide, row, count = 2 * BYTES // like.itemsize, WIDE // like.itemsize, 0
    for top in range(0, in_blocks(side, like), TILE):
        count += TILE * min(top // wide * wide + wide, reach)
    return padded(-(-count // row), row, like)


{JIT}
def pack(square, reach, out):
    """Copy the lower half of a symmetric matrix, by rows of blocks, between zeros."""
    flat, side = out.reshape(-1), len(square)
    wide, k = 2 * BYTES // out.itemsize, 0
    for top in range(0, in_blocks(side, out), TILE):
        for left in range(0, min(top // wide * wide + wide, reach), wide):
            for i in range(top, min(top + TILE, side)):
                place = k + (i - top) * wide - left
                for j in range(left, min(left + wide, side)):
                    flat[place + j] = square[i, j]
            k += TILE * wide


{JIT}
def unpack_change(packed, reach, square):
    """Replace a symmetric matrix by what has changed since it was packed."""
    flat, side = packed.reshape(-1), len(square)
    wide, k = 2 * BYTES // packed.itemsize, 0
    square[reach:, reach:] = 0.0
    for top in range(0, in_blocks(side, packed), TILE):
        for left in range(0, min(top // wide * wide + wide, reach), wide):
            for i in range(top, min(top + TILE, side)):
                place = k + (i - top) * wide - left
                for j in range(left, min(left + wide, i + 1)):
                    square[i, j] = square[j, i] = flat[place + j] - square[i, j]
            k += TILE * wide'''

PASS = '''def row_sums(builder, vectors):
    """Emit the sums of the entries of each of some vectors, as one vector."""
    index, count = ir.IntType(32), len(vectors)

    def taken(x, y, places):
        return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(index, len(places)), places))

    while vectors[0].type.count > count:
        half = vectors[0].type.count // 2
        sides = range(half), range(half, 2 * half)
        vectors = [builder.fadd(*(taken(x, x, list(s)) for s in sides)) for x in vectors]
    chunk = 1
    while len(vectors) > 1:
        if chunk == 1:
            low = [k + s for k in range(0, count, 2) for s in (0, count)]
        else:
            low = [k + s for k in range(0, 2 * count, 2 * chunk) for s in range(chunk)]
        pairs = zip(vectors[::2], vectors[1::2])
        vectors = [
            builder.fadd(taken(x, y, low), taken(x, y, [k + chunk for k in low])) for x, y in pairs
        ]
        chunk = 2
    return vectors[0]


@intrinsic
def packed_pass(typing, M, A, L, V, side, reach):
    """M += p^T a + a^T p for each pair of rows p, a of A, and V = L M (the new M).

    One pass over a packed symmetric matrix M.
    """

    def emit(context, builder, signature, arguments):
        kinds = signature.args[:4]
        arrays = [context.make_array(k)(context, builder, x) for k, x in zip(kinds, arguments)]
        m, a, l, v = (array.data for array in arrays)
        length = cgutils.unpack_tuple(builder, arrays[1].shape)[1]
        side, reach = arguments[4:]
        real = context.get_value_type(kinds[0].dtype)
        size = context.get_abi_sizeof(real)
        width = BYTES // size
        vector, one = ir.VectorType(real, width), side.type
        zero = ir.Constant(vector, [0.0] * width)
        wide = 2 * width
        sums = [cgutils.alloca_once(builder, vector) for _ in range(TILE)]
        at = cgutils.alloca_once_value(builder, ir.Constant(one, 0))

        def number(k):
            return ir.Constant(one, k)

        def vectors_at(base, index, kind=vector):
            return builder.bitcast(builder.gep(base, [index]), kind.as_pointer())

        def load(base, index):
            return builder.load(vectors_at(base, index), align=BYTES)

        def store(value, base, index):
            builder.store(value, vectors_at(base, index), align=BYTES)

        def spread(base, index):
            return splat(builder, builder.load(builder.gep(base, [index])), vector)

        def of(s, index):
            return builder.add(builder.mul(number(s), length), index)

        def loop(stop, step):
            return cgutils.for_range_slice(builder, number(0), stop, number(step), inc=True)

        def block(i, j, mirrored):
            """Renew rows from i and columns from j; where mirrored, serve the rows as well."""
            places = [builder.add(j, number(c * width)) for c in range(len(mirrored))]
            sides = [[load(a, of(s, k)) for k in places] for s in range(SIDES)]
            probe, found = [load(l, k) for k in places], [load(v, k) for k in places]
            start = builder.load(at)
            for r in range(TILE):
                row = builder.add(i, number(r))
                left = [spread(a, of(s, row)) for s in range(SIDES)]
                mine = spread(l, row)
                for c, twice in enumerate(mirrored):
                    here = builder.add(start, number(r * wide + c * width))
                    entry = load(m, here)
                    for s in range(SIDES):
                        entry = fused(builder, left[s], sides[s ^ 1][c], entry)
                    store(entry, m, here)
                    found[c] = fused(builder, mine, entry, found[c])
                    if twice:
                        total = builder.load(sums[r])
                        builder.store(fused(builder, entry, probe[c], total), sums[r])
            for k, x in zip(places, found):
                store(x, v, k)
            builder.store(builder.add(start, number(TILE * wide)), at)

        with loop(length, width) as (j, _):
            store(zero, v, j)
        with loop(side, wide) as (top, _):
            for h in range(0, wide, TILE):
                for x in sums:
                    builder.store(zero, x)
                i = builder.add(top, number(h))
                inside = builder.icmp_signed("<", top, reach)
                with loop(builder.select(inside, top, reach), wide) as (j, _):
                    block(i, j, [True, True])
                with builder.if_then(inside):
                    lower = [c * width for c in range(2) if c * width < h + TILE]
                    block(i, top, [c + width <= h for c in lower])
                total = row_sums(builder, [builder.load(x) for x in sums])
                place = vectors_at(v, i, total.type)
                old = builder.load(place, align=size * TILE)
                builder.store(builder.fadd(old, total), place, align=size * TILE)
        return context.get_dummy_value()

    return types.void(M, A, L, V, types.intp, types.intp), emit'''
