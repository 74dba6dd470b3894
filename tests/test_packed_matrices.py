"""Packed symmetric matrices of compiled kernels: what a pass does to them, for every size.

The text of the kernel is taken with vectors of 64 and of 32 bytes, whatever this machine has, and
in both precisions; NumPy does the same with whole matrices.
"""

from __future__ import annotations

import importlib.util
from functools import cache

import numpy as np
import pytest
from numba import njit

import catapult_theory as ct

# Size, and how many rows the product reads: within a tile, whole tiles, off them, few of many.
SIZES = ((3, 3), (8, 8), (10, 6), (16, 16), (24, 17), (37, 37), (37, 12), (64, 64), (64, 33))
HOST = '(64, 8) if binding.get_host_cpu_features().get("avx512f") else (32, 4)'
VECTORS = {64: "(64, 8)", 32: "(32, 4)"}


@cache
def parts(folder, width, dtype):
    """The module of a kernel, and its pass as a function."""
    update_map = ct.derive(ct.models.linear(inputs=32, outputs=1))
    source = ct.compile(update_map, "numba", dtype).source
    assert HOST in source
    path = folder / f"packed_{width}_{dtype}.py"
    path.write_text(source.replace(HOST, VECTORS[width]).replace(", cache=True", ""))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    packed_pass = module.packed_pass

    @njit
    def renewed(M, sides, probe, product, side, reach):
        packed_pass(M, sides, probe, product, side, reach)

    return module, renewed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("packed")


def symmetric(rng, side):
    square = rng.normal(size=(side, side))
    return square + square.T


def errors(module, renewed, side, rank, dtype, scale=1.0):
    """How far the product and the change are from those of NumPy, which scales one side."""
    rng = np.random.default_rng(side + rank)
    M, rows = symmetric(rng, side).astype(dtype), rng.normal(size=(3, side)).astype(dtype)
    rows[[0, 2], rank:] = 0.0  # one side, and what is multiplied: nothing beyond the rank
    reach = module.in_blocks(rank, M)
    packed = module.blocks(side, reach, M)
    module.pack(M, reach, packed)
    sides, probe, product = (module.padded(k, side, M) for k in (2, 1, 1))
    sides[:2, :side], probe[:1, :side] = rows[:2], rows[2]
    renewed(packed, sides, probe, product, side, reach)
    change = M.copy()
    module.unpack_change(packed, reach, change)
    p, a, line = rows.astype(float)
    growth = scale * (np.outer(p, a) + np.outer(a, p))
    expected = line @ (M + growth)
    return (
        np.abs(product[0, :side] - expected).max() / np.abs(expected).max(),
        np.abs(change - growth).max() / np.abs(M).max(),
        np.abs(product[0, side:]).max(initial=0.0),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("width", VECTORS)
def test_a_pass_adds_the_sides_and_multiplies_the_new_matrix(folder, width, dtype):
    module, renewed = parts(folder, width, dtype)
    eps = float(np.finfo(dtype).eps)
    for side, rank in SIZES:
        found = errors(module, renewed, side, rank, dtype)
        assert max(found[:2]) <= 16 * eps, (side, rank, found)
        assert found[2] == 0.0
        # Negative control: a side that is wrong by a few hundred units in the last place.
        wrong = errors(module, renewed, side, rank, dtype, 1 + 400 * eps)
        assert min(wrong[:2]) > 16 * eps, (side, rank, wrong)


@pytest.mark.parametrize("width", VECTORS)
def test_what_nothing_was_added_to_has_not_changed(folder, width):
    module, _ = parts(folder, width, "float64")
    for side, rank in SIZES:
        M = symmetric(np.random.default_rng(side), side)
        reach = module.in_blocks(rank, M)
        packed = module.blocks(side, reach, M)
        module.pack(M, reach, packed)
        assert packed.ctypes.data % width == 0
        assert packed.size < (side + 16) ** 2 / 2 + 16 * (side + 16)
        module.unpack_change(packed, reach, M)
        assert not M.any()
