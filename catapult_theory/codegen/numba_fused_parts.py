"""Vector code inside Numba: one pass over a large matrix, sums of products, flushed denormals.

Texts of intrinsics, put into the generated module. They write LLVM vectors of the host's width,
so that nothing hangs on what a compiler vectorises by itself; each entry is summed in the same
order whatever the width.
"""

from __future__ import annotations

IMPORTS = '''import platform

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BYTES, TILE = (64, 8) if binding.get_host_cpu_features().get("avx512f") else (32, 4)
WIDE, TALL = 128, 8  # a large matrix is padded to rows of 128 bytes and to 8 rows
X86 = platform.machine().lower() in ("x86_64", "amd64")


def fused(builder, x, y, z):
    """Emit x * y + z on vectors, in one rounding where the machine can."""
    kind = x.type
    name = f"llvm.fmuladd.v{kind.count}f{64 if kind.element == ir.DoubleType() else 32}"
    function = ir.FunctionType(kind, [kind] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [x, y, z])


def splat(builder, x, kind):
    """Emit a vector whose entries are all x."""
    index = ir.IntType(32)
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, x, ir.Constant(index, 0))
    mask = ir.Constant(ir.VectorType(index, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, empty, mask)


def align_stack(builder):
    """Have vectors that do not fit the registers set aside on cache lines.

    LLVM aligns the stack where something on it asks for it before registers are assigned.
    """
    kind = ir.VectorType(ir.IntType(64), 8)
    place = cgutils.alloca_once(builder, kind)
    place.align = 64
    given = ir.FunctionType(ir.VoidType(), [place.type])
    builder.asm(given, "", "r,~{memory}", [place], True)'''

SWEEP = '''@intrinsic
def sweep(typing, M, A, B, L, V, rows, ranks, probes):
    """M += A^T B and V = L M (the new M), over the first rows of M, in one pass.

    All have rows of the same padded length; tiles of M stay in registers.
    """

    def emit(context, builder, signature, arguments):
        kinds = signature.args[:5]
        arrays = [context.make_array(k)(context, builder, x) for k, x in zip(kinds, arguments)]
        m, a, b, l, v = (array.data for array in arrays)
        length = cgutils.unpack_tuple(builder, arrays[0].shape)[1]
        rows, ranks, probes = arguments[5:]
        real = context.get_value_type(kinds[0].dtype)
        width = BYTES // context.get_abi_sizeof(real)
        vector, one = ir.VectorType(real, width), rows.type
        columns = range(2)
        tile = [[cgutils.alloca_once(builder, vector) for _ in columns] for _ in range(TILE)]

        def number(k):
            return ir.Constant(one, k)

        def place(base, row, column, by=0):
            index = builder.add(builder.mul(row, length), builder.add(column, number(by)))
            return builder.gep(base, [index])

        def load(base, row, column, c):
            address = builder.bitcast(place(base, row, column, c * width), vector.as_pointer())
            return builder.load(address, align=BYTES)

        def store(value, base, row, column, c):
            address = builder.bitcast(place(base, row, column, c * width), vector.as_pointer())
            builder.store(value, address, align=BYTES)

        def loop(stop, step):
            return cgutils.for_range_slice(builder, number(0), stop, number(step), inc=True)

        zero = ir.Constant(vector, [0.0] * width)
        with loop(probes, 1) as (p, _), loop(length, width) as (j, _):
            store(zero, v, p, j, 0)
        with loop(rows, TILE) as (i, _), loop(length, 2 * width) as (j, _):
            for r in range(TILE):
                for c in columns:
                    builder.store(load(m, builder.add(i, number(r)), j, c), tile[r][c])
            with loop(ranks, 1) as (s, _):
                right = [load(b, s, j, c) for c in columns]
                for r in range(TILE):
                    left = splat(builder, builder.load(place(a, s, i, r)), vector)
                    for c in columns:
                        old = builder.load(tile[r][c])
                        builder.store(fused(builder, left, right[c], old), tile[r][c])
            for r in range(TILE):
                for c in columns:
                    store(builder.load(tile[r][c]), m, builder.add(i, number(r)), j, c)
            with loop(probes, 1) as (p, _):
                sums = [load(v, p, j, c) for c in columns]
                for r in range(TILE):
                    left = splat(builder, builder.load(place(l, p, i, r)), vector)
                    for c in columns:
                        new = builder.load(tile[r][c])
                        sums[c] = fused(builder, left, new, sums[c])
                for c in columns:
                    store(sums[c], v, p, j, c)
        return context.get_dummy_value()

    return types.void(M, A, B, L, V, types.intp, types.intp, types.intp), emit'''

DOT = '''@intrinsic
def dot(typing, x, y):
    """Return the sum of x * y over all entries, in 32 partial sums."""

    def emit(context, builder, signature, arguments):
        kinds = signature.args
        arrays = [context.make_array(k)(context, builder, z) for k, z in zip(kinds, arguments)]
        left, right = (array.data for array in arrays)
        count = arrays[0].nitems
        real, one = context.get_value_type(kinds[0].dtype), count.type
        vector = ir.VectorType(real, 8)
        zero = ir.Constant(vector, [0.0] * 8)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(4)]
        rest = cgutils.alloca_once_value(builder, ir.Constant(real, 0.0))

        def number(k):
            return ir.Constant(one, k)

        def load(base, index):
            address = builder.bitcast(builder.gep(base, [index]), vector.as_pointer())
            return builder.load(address, align=8)

        many = builder.and_(count, number(-32))
        whole = builder.and_(count, number(-8))
        with cgutils.for_range_slice(builder, number(0), many, number(32), inc=True) as (i, _):
            for k, total in enumerate(sums):
                at = builder.add(i, number(8 * k))
                old = builder.load(total)
                builder.store(fused(builder, load(left, at), load(right, at), old), total)
        with cgutils.for_range_slice(builder, many, whole, number(8), inc=True) as (i, _):
            old = builder.load(sums[0])
            builder.store(fused(builder, load(left, i), load(right, i), old), sums[0])
        with cgutils.for_range_slice(builder, whole, count, number(1), inc=True) as (i, _):
            term = builder.fmul(*(builder.load(builder.gep(z, [i])) for z in (left, right)))
            builder.store(builder.fadd(builder.load(rest), term), rest)
        parts = [builder.load(total) for total in sums]
        total = builder.fadd(builder.fadd(parts[0], parts[1]), builder.fadd(parts[2], parts[3]))
        index = ir.IntType(32)
        for half in (4, 2, 1):
            mask = ir.Constant(ir.VectorType(index, 8), [(j + half) % 8 for j in range(8)])
            other = builder.shuffle_vector(total, ir.Constant(vector, ir.Undefined), mask)
            total = builder.fadd(total, other)
        first = builder.extract_element(total, ir.Constant(index, 0))
        return builder.fadd(first, builder.load(rest))

    return x.dtype(x, y), emit'''

DENORMALS = '''@intrinsic
def rounding_mode(typing):
    """Return the register that says how denormal numbers are treated, 0 where unknown."""

    def emit(context, builder, signature, arguments):
        word = ir.IntType(32)
        if not X86:
            return ir.Constant(word, 0)
        place = cgutils.alloca_once(builder, word)
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        call = cgutils.get_or_insert_function(builder.module, function, "llvm.x86.sse.stmxcsr")
        builder.call(call, [builder.bitcast(place, ir.IntType(8).as_pointer())])
        return builder.load(place)

    return types.uint32(), emit


@intrinsic
def set_rounding_mode(typing, mode):
    """Set that register, of this thread; 0x8040 added to it flushes denormal numbers to 0."""

    def emit(context, builder, signature, arguments):
        if X86:
            place = cgutils.alloca_once_value(builder, arguments[0])
            function = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
            call = cgutils.get_or_insert_function(builder.module, function, "llvm.x86.sse.ldmxcsr")
            builder.call(call, [builder.bitcast(place, ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(types.uint32), emit'''

PADDED = '''{JIT}
def padded(rows, columns, like):
    """Return zeros, 64-byte aligned, with rows and columns rounded up to whole tiles."""
    step = WIDE // like.itemsize
    tall, wide = -(-rows // TALL) * TALL, -(-columns // step) * step
    whole = np.zeros(tall * wide + 64 // like.itemsize, like.dtype)
    start = (-whole.ctypes.data % 64) // like.itemsize
    return whole[start : start + tall * wide].reshape(tall, wide)'''

TURN = '''{JIT}
def turned(block, basis, rows, columns):
    """Return a block of the state in another orthonormal basis of the inputs."""
    out = block.copy()
    if rows:
        out = np.dot(basis.T, out)
    if columns:
        out = np.dot(out, basis)
    return out'''

DIAGONAL = '''def diagonal(X, Y):
    """Return basis, rank, scale, target, rest: the data where the inputs are diagonal.

    X = P diag(s) basis^T; scale is s and target P^T Y, a row for each output; rest is the sum of
    squares of Y beyond the rows that s reaches.
    """
    inputs, targets = X.astype(np.float64), Y.astype(np.float64)
    beyond = 0.0
    if len(inputs) > inputs.shape[1]:
        frame, inputs = np.linalg.qr(inputs)
        seen = frame.T @ targets
        beyond = ((targets - frame @ seen) ** 2).sum()
        targets = seen
    left, singular, right = np.linalg.svd(inputs, full_matrices=True)
    few = len(singular)
    cut = singular[0] * max(X.shape) * np.finfo(X.dtype).eps
    scale, target = np.zeros((2, Y.shape[1], X.shape[1]))
    scale[:, :few] = np.where(singular > cut, singular, 0.0)
    target[:, :few] = (left.T @ targets).T[:, :few]
    basis = np.ascontiguousarray(right.T)
    rank = int((singular > cut).sum())
    given = (a.astype(X.dtype) for a in (basis, scale, target))
    basis, scale, target = given
    return basis, rank, scale, target, X.dtype.type(beyond)'''
