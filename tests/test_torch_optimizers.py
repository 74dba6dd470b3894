"""Optimizers of PyTorch networks: the convention of each is that of torch.optim, step by step."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from catapult_theory.networks import torch_optimizers  # noqa: E402
from catapult_theory.networks.torch_optimizers import (  # noqa: E402
    FULL_BATCH,
    HeavyBall,
    MiniBatches,
    restricted,
)
from catapult_theory.networks.torch_problem import torch_problem  # noqa: E402
from catapult_theory.networks.torch_training import descend  # noqa: E402
from catapult_theory.symbolic.batches import Batches  # noqa: E402

M, STEPS, ETA = 12, 20, 0.05
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(M, 4)), RNG.normal(size=(M, 2))
DRAWS = Batches(4, "epochs", seed=5)
# Sums of a few terms of order one at each of some steps, in another order.
ROUNDING = 100 * STEPS * np.finfo(float).eps


def problem():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    return torch_problem(network, X, Y)


def course(optimizer, steps=STEPS, eta=ETA):
    return list(islice(optimizer.course(problem(), eta), steps + 1))


def by_torch(rows_of_step, **options):
    """Points of torch.optim.SGD, a training loop as in its manual."""
    posed = problem()
    network = posed.module
    optimizer = torch.optim.SGD(network.parameters(), lr=ETA, **options)
    points = []
    for step in range(STEPS + 1):
        points.append({n: p.detach().clone() for n, p in network.named_parameters()})
        rows = rows_of_step(step)
        optimizer.zero_grad()
        posed.loss(network(posed.X[rows]), posed.Y[rows]).backward()
        optimizer.step()
    return points


def furthest(moments, points):
    return max(
        float((m.point[n] - p[n]).abs().max())
        for m, p in zip(moments, points, strict=True)
        for n in p
    )


TABLE = DRAWS.indices(M, STEPS + 1)
SAME = {
    "gradient descent": (FULL_BATCH, lambda _: slice(None), {}),
    "momentum": (HeavyBall(0.9), lambda _: slice(None), {"momentum": 0.9}),
    "mini-batches": (MiniBatches(DRAWS), lambda step: TABLE[step], {}),
}
OTHER = {
    "momentum": (lambda _: slice(None), {"momentum": 0.8}),
    "averaged gradients": (lambda _: slice(None), {"momentum": 0.9, "dampening": 0.9}),
    "nesterov": (lambda _: slice(None), {"momentum": 0.9, "nesterov": True}),
}


@pytest.mark.parametrize("name", SAME)
def test_an_optimizer_is_that_of_pytorch(name):
    optimizer, rows, options = SAME[name]
    assert furthest(course(optimizer), by_torch(rows, **options)) <= ROUNDING


@pytest.mark.parametrize("name", OTHER)
def test_another_convention_of_momentum_is_another_course(name):
    rows, options = OTHER[name]
    assert furthest(course(HeavyBall(0.9)), by_torch(rows, **options)) > 1e-3


def test_another_seed_is_another_course():
    moments = course(MiniBatches(Batches(4, "epochs", seed=6)))
    assert furthest(moments, by_torch(lambda step: TABLE[step])) > 1e-3


def test_the_loss_of_a_course_is_that_of_all_samples():
    for optimizer, _, _ in SAME.values():
        for moment in course(optimizer, 3):
            whole = problem().value(problem().forward(moment.point))
            assert moment.loss == pytest.approx(whole, rel=ROUNDING)


def test_a_batch_of_all_samples_is_gradient_descent():
    whole = course(MiniBatches(Batches(M, "epochs", seed=0)))
    assert furthest(whole, [m.point for m in course(FULL_BATCH)]) <= ROUNDING


def test_an_epoch_sees_every_sample_once():
    rows = list(islice(MiniBatches(DRAWS)._rows(M), 6))
    assert sorted(np.concatenate(rows[:3])) == sorted(np.concatenate(rows[3:])) == list(range(M))
    assert not np.array_equal(rows[:3], rows[3:])


def test_a_long_course_goes_on_with_the_same_batches(monkeypatch):
    monkeypatch.setattr(torch_optimizers, "DRAWN", 2)
    rows = list(islice(MiniBatches(DRAWS)._rows(M), STEPS + 1))
    assert np.array_equal(rows, TABLE)


def test_a_restricted_problem_has_the_mean_over_its_samples():
    posed = problem()
    part = restricted(posed, np.array([2, 7]))
    assert part.samples == 2
    outputs = posed.forward(posed.start)[[2, 7]]
    assert part.value(outputs) == pytest.approx(float(posed.loss(outputs, posed.Y[[2, 7]])))


@pytest.mark.parametrize("name", SAME)
def test_a_run_ends_at_its_steps_or_at_its_limit(name):
    posed, optimizer = problem(), SAME[name][0]
    direction = torch.zeros_like(posed.Y)
    ran = descend(posed, ETA, STEPS, direction, 1e9, optimizer)
    assert len(ran.losses) == STEPS + 1
    assert not ran.diverged
    far = descend(posed, 1e3, STEPS, direction, 1e9, optimizer)
    assert far.diverged
    assert far.losses[-1] > 1e9 or np.isnan(far.losses[-1])


def test_no_two_optimizers_share_a_key():
    others = [HeavyBall(0.9), HeavyBall(0.5), MiniBatches(DRAWS), MiniBatches(Batches(4, seed=6)),
              MiniBatches(Batches(3, seed=5)), MiniBatches(Batches(4, "replacement", 5)),
              FULL_BATCH]  # fmt: skip
    keys = [repr(o.key) for o in others]
    assert len(set(keys)) == len(keys)


def test_gradient_descent_is_kept_under_the_keys_that_it_had_alone():
    assert FULL_BATCH.key == {}
