"""The table model x loss x optimizer: a fixed sample by default, every cell in the full tier."""

from __future__ import annotations

from importlib import import_module

import pytest

from catapult_theory.errors import InputError
from catapult_theory.symbolic import losses, models
from catapult_theory.validation.closures import (
    Cell,
    ClosureTable,
    closure_cell,
    combinations,
    rules,
    sample,
)

EVERY = combinations()
# Nesterov on scalar models has the longest derivations; by default it is met on matrices.
LONG = [key for key in sample(EVERY) if "nesterov" in key[2] and key[0] != "linear"]
SHORT = [key for key in sample(EVERY) if key not in LONG]
SHORT += [("linear", key[1], key[2]) for key in LONG] + [(*key[:2], "gd") for key in LONG]
# Conditions within conditions, gradients below the smallest float, steep and saturated losses.
DELICATE = [
    ("uv", "huber", "normalised"),
    ("uv", "huber", "unnormalised_sam"),
    ("relu_one_sample", "logistic", "normalised"),
    ("tied_autoencoder", "exponential", "unnormalised_sam"),
    ("quadratic", "logistic", "sam"),
    ("quadratic_outputs", "exponential", "normalised"),
    # A kink makes this orbit sensitive to its start; a small gradient that one is divided by.
    ("quadratic", "huber", "unnormalised_sam"),
    ("tied_autoencoder", "squared", "sam"),
]


def check(key):
    cell = closure_cell(*key)
    assert cell.status in ("exact", "not closed", "not meaningful"), str(cell)
    if cell.status == "exact":
        assert cell.error <= cell.tolerance <= 1e-12
        assert not cell.control <= cell.tolerance
    else:
        assert cell.reason


@pytest.mark.parametrize("key", [*SHORT, *DELICATE], ids=", ".join)
def test_a_sample_of_the_table(key):
    check(key)


@pytest.mark.full
@pytest.mark.parametrize("key", EVERY, ids=", ".join)
def test_every_cell_of_the_table(key):
    check(key)


def test_the_table_has_every_model_loss_and_optimizer_and_the_sample_too():
    for keys in (EVERY, sample(EVERY), SHORT):
        for axis, known in enumerate((models.NAMED, losses.NAMED, rules())):
            assert {key[axis] for key in keys} == set(known)
    assert len(EVERY) == len(models.NAMED) * len(losses.NAMED) * len(rules())


def test_a_failed_cell_fails_the_table_and_reasons_are_numbered_once():
    cells = (
        Cell("uv", "squared", "gd", "exact", 1e-15, 1e-3, 1e-12),
        Cell("uv", "squared", "adam", "not closed", reason="grad_i^2 leaves"),
        Cell("uv", "huber", "adam", "not closed", reason="grad_i^2 leaves"),
    )
    table = ClosureTable(cells)
    assert table.passed
    assert table.to_markdown().count("grad_i^2 leaves") == 1
    assert "| gd | exact 1e-15 |" in table.to_markdown()
    assert not ClosureTable((*cells, Cell("uv", "huber", "gd", "failed", 1.0, 1.0, 1e-12))).passed


def test_a_cell_that_cannot_be_computed_fails_and_the_rest_is_worked_out(monkeypatch):
    room = import_module("catapult_theory.validation.closures")
    real = room.closure_cell

    def broken(model, loss, optimizer, rule=None):
        if optimizer == "gd":
            raise InputError("cannot generate code")
        return real(model, loss, optimizer, rule)

    monkeypatch.setattr(room, "closure_cell", broken)
    table = ClosureTable(tuple(room.each([("uv", "squared", "gd"), ("uv", "squared", "adam")])))
    assert [cell.status for cell in table.cells] == ["failed", "not closed"]
    assert not table.passed
    assert "cannot generate code" in table.to_markdown()


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="huber"):
        combinations(loss="hubber")
