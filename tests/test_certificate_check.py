"""The check of certificates: independent, in ball arithmetic, and not to be fooled."""

from __future__ import annotations

import ast
import math
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory.rigor.certified import (
    certificate_balls,
    certificate_basin,
    certificate_check,
    certificate_file,
)

MODULES = (certificate_balls, certificate_basin, certificate_check, certificate_file)
KAPPAS = (0.0, 0.3, 0.9, 1.1, 2.5)
LEVELS = {0.0: 14, 0.3: 14, 0.9: 14, 1.1: 12, 2.5: 10}


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.split(".")[-1])
def test_the_check_imports_nothing_from_the_certifier(module):
    tree = ast.parse(Path(module.__file__).read_text())
    names = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    own = {name for name in names if name.startswith("catapult_theory")}
    assert own <= {"catapult_theory.errors", *(m.__name__ for m in MODULES)}
    assert not {"numba", "sympy", "xarray"} & names


def test_without_python_flint_the_line_that_installs_it_is_given(monkeypatch, files):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ct.MissingBackend, match=r"pip install 'catapult-theory\[rigor\]'"):
        ct.check_phase_map(files[0.3])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    return {
        k: ct.certify(k, levels=LEVELS[k], budget=600.0).save(folder / f"{k}.nc") for k in KAPPAS
    }


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "text.nc"
    path.write_text("nothing")
    with pytest.raises(ct.InputError, match="cannot read"):
        certificate_file.read(path)
    with pytest.raises(ct.InputError, match="cannot read"):
        ct.PhaseMap.load(path)


def changed(path, tmp_path, **columns):
    """A copy of a file with some numbers changed: column=(row, value)."""
    copy = Path(shutil.copy(path, tmp_path / "changed.nc"))
    with h5py.File(copy, "r+") as file:
        for name, (row, value) in columns.items():
            if name in file:
                file[name][row] = value
            else:
                file.attrs[name] = value
    return copy


def forged(path, tmp_path, **columns):
    """A copy with some numbers changed, and the digest that belongs to them."""
    copy = changed(path, tmp_path, **columns)
    with h5py.File(copy, "r+") as file:
        file.attrs["digest"] = certificate_file.read(copy)._digest()
    return copy


def test_another_schema_is_refused(files, tmp_path):
    copy = changed(files[0.3], tmp_path, schema=(0, "catapult_theory/phase-map/99"))
    with pytest.raises(ct.InputError, match="99"):
        certificate_file.read(copy)
    with pytest.raises(ct.InputError, match="99"):
        ct.PhaseMap.load(copy)


@pytest.mark.parametrize("sample", [0, -1])
def test_a_check_of_no_cell_is_refused(files, sample):
    with pytest.raises(ct.InputError, match="at least 1"):
        ct.check_phase_map(files[0.3], sample=sample)


def test_columns_of_unequal_length_are_refused(files, tmp_path):
    copy = Path(shutil.copy(files[0.3], tmp_path / "short.nc"))
    with h5py.File(copy, "r+") as file:
        kind = file["kind"][:-1]
        del file["kind"]
        file["kind"] = kind
    with pytest.raises(ct.InputError, match="length"):
        certificate_file.read(copy)


def test_words_in_place_of_numbers_are_refused(files, tmp_path):
    copy = changed(files[1.1], tmp_path, cycle_period=(0, "two"))
    with pytest.raises(ct.InputError, match="cannot read"):
        certificate_file.read(copy)


def witness(record, row):
    """|p| and a of the middle of a cell when its trap begins."""
    x0, x1, y0, y1 = map(float, record.box(row))
    x, y, k = (x0 + x1) / 2, (y0 + y1) / 2, float(record.kappa)
    u, v = (math.sqrt(x) + math.sqrt(y)) / 2, (math.sqrt(x) - math.sqrt(y)) / 2
    for _ in range(int(record.columns["steps"][row])):
        g = u * v - k
        u, v = u - g * v, v - g * u
    return abs(u * v - k), u * u + v * v


NUMBERS = ("r", "m", "M", "e", "g")
# From the number, |p| and a of an orbit of the cell to one that makes the certificate false.
CHANGES = {
    "r above 1": ("r", lambda v, p, a: 1.5),
    "r too small": ("r", lambda v, p, a: v * 0.9),
    "r no number": ("r", lambda v, p, a: np.nan),
    "m above the orbit": ("m", lambda v, p, a: a * 1.001),
    "m negative": ("m", lambda v, p, a: -v),
    "M below the orbit": ("M", lambda v, p, a: a * 0.999),
    "e below the orbit": ("e", lambda v, p, a: p * 0.999),
    "e negative": ("e", lambda v, p, a: -v),
    "e infinite": ("e", lambda v, p, a: np.inf),
    "e too large": ("e", lambda v, p, a: 3.0),
}


@pytest.fixture(scope="module")
def relied_on(files):
    """A cell of the map that relies on low ranks of the basin, and the highest it needs."""
    pytest.importorskip("flint")
    record = certificate_file.read(files[1.1])
    basin, found = certificate_basin.basin_of(record), []
    with certificate_balls.flint().ctx.workprec(certificate_balls.PRECISION):
        for row in np.flatnonzero(record.columns["theorem"] == 7):
            relied, image = set(), certificate_balls.Image.of(record.box(row), record.kappa)
            for _ in range(int(record.columns["steps"][row])):
                image = image.after_a_step(record.kappa)
            if basin.supports(image, relied) and relied:
                cell = max(relied, key=lambda i: basin.rank[i])
                found.append((int(basin.rank[cell]), int(row), cell))
    _, row, cell = min(one for one in found if one[0] > 1)
    return row, cell


class TestWithBalls:
    @pytest.fixture(autouse=True)
    def flint(self):
        pytest.importorskip("flint")

    @pytest.mark.parametrize("kappa", KAPPAS)
    def test_every_sampled_certificate_holds(self, files, kappa):
        found = ct.check_phase_map(files[kappa], sample=40)
        assert found.valid, str(found)
        assert len(found.checked) == 40

    def row_of(self, path, theorem, most_steps=1000):
        """A small cell whose certificate was hard to get."""
        record = certificate_file.read(path)
        names = np.array([record.theorem(i) for i in range(record.count)])
        rows = np.flatnonzero((names == theorem) & (record.columns["steps"] <= most_steps))
        return int(rows[np.argmax(record.columns["steps"][rows])]), record

    def rejected(self, copy, row):
        """Both by its content and by the digest."""
        whole = ct.check_phase_map(copy, rows=[row])
        assert any("digest" in fault for fault in whole.faults)
        return not whole.checked[0].valid

    @pytest.mark.parametrize("theorem", ["trap_y", "trap_s"])
    @pytest.mark.parametrize("change", CHANGES)
    def test_changed_numbers_of_a_trap_are_rejected(self, files, tmp_path, theorem, change):
        # After more steps the witness's |p| would be round-off.
        row, record = self.row_of(files[0.3], theorem, most_steps=8)
        assert certificate_check.check_cell(record, row).valid
        name, rule = CHANGES[change]
        numbers = record.columns["trap"][row].copy()
        numbers[NUMBERS.index(name)] = rule(numbers[NUMBERS.index(name)], *witness(record, row))
        copy = changed(files[0.3], tmp_path, trap=(row, numbers))
        assert self.rejected(copy, row)

    @pytest.mark.parametrize(
        ("kappa", "theorem"),
        [(0.0, "T3 and T4"), (0.3, "trap_y"), (0.3, "trap_s"), (0.3, "cone"), (1.1, "cycle")],
    )
    def test_fewer_steps_are_rejected(self, files, tmp_path, kappa, theorem):
        row, record = self.row_of(files[kappa], theorem)
        assert record.columns["steps"][row] > 0
        copy = changed(files[kappa], tmp_path, steps=(row, 0))
        assert self.rejected(copy, row)

    @pytest.mark.parametrize(
        ("kappa", "theorem"),
        [(0.0, "T3 and T4"), (0.3, "trap_y"), (0.3, "edge"), (0.3, "cone"), (1.1, "cycle")],
    )
    def test_another_class_is_rejected(self, files, tmp_path, kappa, theorem):
        row, record = self.row_of(files[kappa], theorem)
        for kind in set(range(5)) - {int(record.columns["kind"][row])}:
            copy = changed(files[kappa], tmp_path, kind=(row, kind))
            assert self.rejected(copy, row)

    @pytest.mark.parametrize("kind", range(1, 5))
    def test_an_open_cell_with_a_class_is_rejected_whatever_is_drawn(self, files, tmp_path, kind):
        record = certificate_file.read(files[0.3])
        row = int(np.flatnonzero(record.columns["theorem"] == 0)[-1])
        copy = forged(files[0.3], tmp_path, kind=(row, kind))
        found = ct.check_phase_map(copy, sample=4)
        assert not found.rejected  # the cells drawn are as they were, and the digest fits
        assert len(found.faults) == 1
        assert f"cell {row} first" in found.faults[0]

    @pytest.mark.parametrize(("theorem", "kind"), [(1, 4), (4, 1), (6, 3), (9, 1), (1, 9)])
    def test_a_class_that_no_theorem_gives_is_rejected_whatever_is_drawn(
        self, files, tmp_path, theorem, kind
    ):
        rows = slice(0, 2)
        copy = forged(files[0.3], tmp_path, theorem=(rows, theorem), kind=(rows, kind))
        found = ct.check_phase_map(copy, rows=[5])
        assert any("does not give the class" in fault for fault in found.faults)

    def test_renamed_theorems_do_not_hide_a_cell_from_the_sample(self, files, tmp_path):
        copy = changed(files[0.3], tmp_path)
        with h5py.File(copy, "r+") as file:
            names, kinds = (str(file.attrs[n]).split(", ") for n in ("theorems", "kinds"))
            names[0], kinds[0] = "cone", "diverges"
            for name, values in (("theorems", names), ("kinds", kinds)):
                del file.attrs[name]
                file.attrs[name] = ", ".join(values)
        assert ct.check_phase_map(copy, sample=40).rejected

    def test_another_theorem_with_its_class_is_rejected(self, files, tmp_path):
        row, _ = self.row_of(files[0.3], "trap_y")
        for theorem, kind in ((3, 1), (4, 3), (5, 3), (6, 4), (7, 2)):
            copy = changed(files[0.3], tmp_path, theorem=(row, theorem), kind=(row, kind))
            assert self.rejected(copy, row)

    @pytest.mark.parametrize(
        ("theorem", "axis"),
        [
            ("trap_y", "x"),
            ("trap_s", "y"),
            pytest.param("trap_y", "y", marks=pytest.mark.full),
            pytest.param("trap_s", "x", marks=pytest.mark.full),
        ],
    )
    def test_a_box_that_is_moved_or_larger_is_rejected(self, files, tmp_path, theorem, axis):
        row, record = self.row_of(files[0.3], theorem)
        last = {f"index_{s}": (row, 2 ** int(record.columns[f"level_{s}"][row]) - 1) for s in "xy"}
        copy = changed(files[0.3], tmp_path, **last)
        assert self.rejected(copy, row)
        assert any("overlaps" in f for f in ct.check_phase_map(copy, rows=[row]).faults)
        whole = {f"index_{axis}": (row, 0), f"level_{axis}": (row, 0)}
        copy = changed(files[0.3], tmp_path, **whole)
        assert self.rejected(copy, row)
        assert any("tile" in f for f in ct.check_phase_map(copy, rows=[row]).faults)

    def test_another_label_is_rejected(self, files, tmp_path):
        copy = changed(files[0.3], tmp_path, kappa=(0, 0.6))
        found = ct.check_phase_map(copy, sample=60)
        assert len(found.rejected) > 10

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("cycle_y_high", 0.5), ("cycle_x_high", 3.5), ("cycle_x_low", 3.0)),
            *(("cycle_period", 3), ("cycle_period", 1e18), ("cycle_period", math.nan)),
        ],
    )
    def test_another_box_of_the_cycle_is_rejected(self, files, tmp_path, name, value):
        row, _ = self.row_of(files[1.1], "cycle")
        copy = changed(files[1.1], tmp_path, **{name: (0, value)})
        assert self.rejected(copy, row)

    @pytest.mark.parametrize(("column", "value"), [("rank", 1), ("rank", 0), ("steps", 0)])
    def test_a_changed_cell_of_the_basin_is_rejected_by_what_relies_on_it(
        self, files, relied_on, tmp_path, column, value
    ):
        row, cell = relied_on
        assert ct.check_phase_map(files[1.1], rows=[row]).valid
        copy = changed(files[1.1], tmp_path, **{f"basin_{column}": (cell, value)})
        assert self.rejected(copy, row)

    @pytest.mark.parametrize(
        ("column", "rule"),
        [
            # Cells that rely on cells of their own rank could support each other in a circle.
            ("rank", lambda v: np.full_like(v, 5)),
            ("rank", lambda v: v.max() + 1 - v),
            ("steps", lambda v: v + 1),
            ("index_x", lambda v: v + 9),
            ("index_y", lambda v: v + 9),
            ("level", lambda v: v + 1),
            ("level", lambda v: np.full_like(v, 200)),
        ],
    )
    def test_a_changed_basin_is_rejected(self, files, relied_on, tmp_path, column, rule):
        row, _ = relied_on
        copy = Path(shutil.copy(files[1.1], tmp_path / "changed.nc"))
        with h5py.File(copy, "r+") as file:
            numbers = file[f"basin_{column}"]
            numbers[...] = rule(numbers[...])
        assert self.rejected(copy, row)

    @pytest.mark.full
    def test_every_cell_of_the_basin_holds(self, files):
        basin = certificate_basin.basin_of(certificate_file.read(files[1.1]))
        with certificate_balls.flint().ctx.workprec(certificate_balls.PRECISION):
            assert basin.holds(set(range(len(basin.rank))))

    def test_a_change_that_does_no_harm_is_still_noticed(self, files, tmp_path):
        row, record = self.row_of(files[0.3], "trap_y")
        more = int(record.columns["steps"][row]) + 5
        copy = changed(files[0.3], tmp_path, steps=(row, more))
        assert not ct.check_phase_map(copy, rows=[row]).valid
        with pytest.raises(ct.InputError, match="not those that were written"):
            ct.PhaseMap.load(copy)
