"""Brute-force training: plain loops, conservation laws, statuses, lanes, records, bad input."""

from __future__ import annotations

import warnings

import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from catapult_theory.errors import InputError
from catapult_theory.networks import (
    Adam,
    GenericNetwork,
    LinearNetwork,
    TrainingStatus,
    UVNetwork,
    digits,
    gaussian_start,
    gram,
    top_eigenvalue,
    train_network,
    train_summary,
)

UV = {"u": ("n",), "v": ("n",)}
EPS = np.finfo(float).eps

# Two programs of the same arithmetic in another order, over the running maximum: 1e-12 over
# 200 steps for n >= 64 and eta lambda_0 <= 3.
TRAJECTORY = 1e-12


def relative_error(found, expected):
    """Return the largest error over the running maximum of the expected norm."""
    flat = np.abs(expected).reshape(len(expected), -1).max(axis=1)
    error = np.abs(found - expected).reshape(len(expected), -1).max(axis=1)
    return (error / np.maximum.accumulate(flat)).max()


# ---------------------------------------------------------------- against plain loops


def plain_uv(u, v, y, eta, steps, beta=0.0, omega=0.0):
    """Return f at every step: the uv-model with heavy ball and weight decay, from its text."""
    n, pu, pv, outputs = len(u), 0.0, 0.0, []
    for _ in range(steps + 1):
        f = u @ v / np.sqrt(n)
        outputs.append(f)
        gu = (f - y) * v / np.sqrt(n) + omega * u
        gv = (f - y) * u / np.sqrt(n) + omega * v
        pu, pv = beta * pu - eta * gu, beta * pv - eta * gv
        u, v = u + pu, v + pv
    return np.array(outputs)


RULES = {
    "gd": {},
    "weight_decay": {"weight_decay": 0.05},
    "heavy_ball": {"beta": 0.5},
    "heavy_ball with weight decay": {"beta": 0.7, "weight_decay": 0.02},
}


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("eta", [0.7, 1.4], ids=["lazy", "catapult"])
@pytest.mark.parametrize("n", [64, 1000])
def test_training_is_the_plain_loop_of_the_uv_model(rule, eta, n):
    numbers = RULES[rule]
    p = gaussian_start(3).raw(UV, n)
    result = train_network(
        UVNetwork(label=0.3), eta=eta, steps=200, start=p, optimizer=rule.split()[0],
        record="output", **numbers,
    )  # fmt: skip
    beta, omega = numbers.get("beta", 0.0), numbers.get("weight_decay", 0.0)
    expected = plain_uv(p["u"], p["v"], 0.3, eta, 200, beta, omega)
    assert relative_error(result["output"], expected) < TRAJECTORY
    for wrong in (
        plain_uv(p["u"], p["v"], 0.3, eta, 200, beta + 0.01, omega),
        plain_uv(p["u"], p["v"], 0.3, eta, 200, beta, omega + 0.001),
        plain_uv(p["u"], p["v"], 0.31, eta, 200, beta, omega),
    ):
        assert relative_error(result["output"], wrong) > 1e-6


@pytest.mark.parametrize("beta", [0.0, 0.8])
def test_training_is_the_plain_loop_of_softmax_classification(beta):
    X, Y = digits(samples=64, protocol="classes")
    network, n, eta, steps = LinearNetwork(64, 10), 80, 5.0 * (1 - beta), 60
    p = gaussian_start(0).raw(network.shapes, n)
    result = train_network(
        network, (X, Y), eta=eta, steps=steps, start=p, optimizer="heavy_ball", beta=beta,
        loss="softmax_cross_entropy",
    )  # fmt: skip
    U, V, pU, pV, values = p["U"], p["V"], 0.0, 0.0, []
    for _ in range(steps + 1):
        H = X @ U.T
        P = softmax(H @ V.T / np.sqrt(n), axis=1)
        values.append(-np.log((P * Y).sum(axis=1)).mean())
        R = (P - Y) / len(X)
        gV, gU = R.T @ H / np.sqrt(n), V.T @ R.T @ X / np.sqrt(n)
        pU, pV = beta * pU - eta * gU, beta * pV - eta * gV
        U, V = U + pU, V + pV
    assert relative_error(result.loss, np.array(values)) < TRAJECTORY
    assert relative_error(1.001 * result.loss, np.array(values)) > TRAJECTORY
    assert result.loss[-1] < 0.5 * result.loss[0]


def test_adam_follows_its_definition():
    p = gaussian_start(3).raw(UV, 20)
    b1, b2, tiny, eta = 0.8, 0.9, 1e-3, 0.05
    result = train_network(
        UVNetwork(1.0), eta=eta, steps=30, start=p, optimizer=Adam(b1, b2, tiny), record="output"
    )
    theta, m, s, outputs = np.stack([p["u"], p["v"]]), 0.0, 0.0, []
    for t in range(1, 32):
        f = theta[0] @ theta[1] / np.sqrt(20)
        outputs.append(f)
        gradient = (f - 1.0) * theta[::-1] / np.sqrt(20)
        m, s = b1 * m + (1 - b1) * gradient, b2 * s + (1 - b2) * gradient**2
        theta = theta - eta * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + tiny)
    assert relative_error(result["output"], np.array(outputs)) < TRAJECTORY
    plain = train_network(UVNetwork(1.0), eta=eta, steps=30, start=p, record="output")
    assert relative_error(plain["output"], np.array(outputs)) > 0.01


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_hand_written_and_generic_networks_train_alike(loss):
    X, Y = digits(samples=40)
    by_hand = LinearNetwork(64)
    generic = GenericNetwork(
        lambda p, X: X @ p["U"].T @ p["V"].T / p["U"].shape[0] ** 0.5, by_hand.shapes
    )
    courses = [
        train_network(net, (X, Y), eta=3.0, n=64, steps=100, loss=loss).loss
        for net in (by_hand, generic)
    ]
    assert relative_error(courses[0], courses[1]) < TRAJECTORY
    other = train_network(generic, (X, Y), eta=3.003, n=64, steps=100, loss=loss).loss
    assert relative_error(courses[0], other) > 1e-6


def test_a_users_loss_trains_like_the_same_loss_by_name():
    def mine(f, y):
        return anp.log(1 + anp.exp(-y * f))

    X, Y = digits(samples=40)
    courses = [
        train_network(LinearNetwork(64), (X, Y), eta=2.0, n=64, steps=50, loss=loss).loss
        for loss in (mine, "logistic")
    ]
    assert relative_error(courses[0], courses[1]) < TRAJECTORY


# ---------------------------------------------------------------- conservation laws


def imbalance(result):
    u, v = result["u"], result["v"]
    return (u * u - v * v).sum(axis=-1)


def predicted_imbalance(result, coefficient=1.0):
    """Return Delta_0 times the product of 1 - (eta g)^2 / n, g the measured output."""
    g = result["output"][:-1]
    factors = 1 - coefficient * (result.eta * g) ** 2 / result.n
    return imbalance(result)[0] * np.concatenate([[1.0], np.cumprod(factors)])


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 60), seed=st.integers(0, 10**6), eta=st.floats(0.05, 1.2))
def test_the_imbalance_shrinks_by_one_minus_the_squared_step(n, seed, eta):
    """|u|^2 - |v|^2 is conserved by gradient flow; a step multiplies it by 1 - eta^2 g^2/n."""
    p = gaussian_start(seed).raw(UV, n)
    lam = (p["u"] @ p["u"] + p["v"] @ p["v"]) / n
    result = train_network(
        UVNetwork(), eta=2 * eta / lam, steps=50, start=p, record=["output", "parameters"]
    )
    # Each step rounds |u|^2 and |v|^2 to n eps of their size, and a_0 < 2.4 keeps both bounded
    # by their start; factors below one do not amplify what was lost before.
    scale = (p["u"] @ p["u"] + p["v"] @ p["v"]) * n * EPS * 50
    assert np.abs(imbalance(result) - predicted_imbalance(result)).max() < scale


def test_a_wrong_coefficient_breaks_the_law_of_the_imbalance():
    p = gaussian_start(1).raw(UV, 10)
    result = train_network(UVNetwork(), eta=0.5, steps=50, start=p, record=["output", "parameters"])
    start = abs(imbalance(result)[0])
    right = np.abs(imbalance(result) - predicted_imbalance(result)).max() / start
    wrong = np.abs(imbalance(result) - predicted_imbalance(result, 1.01)).max() / start
    assert right < 1e-12
    assert wrong > 1e-4


def test_momentum_obeys_another_law():
    p = gaussian_start(1).raw(UV, 10)
    result = train_network(
        UVNetwork(), eta=0.3, steps=50, start=p, optimizer="heavy_ball", beta=0.5,
        record=["output", "parameters"],
    )  # fmt: skip
    error = np.abs(imbalance(result) - predicted_imbalance(result)).max()
    assert error > 1e-3 * abs(imbalance(result)[0])


def test_balanced_networks_stay_balanced_to_the_last_bit():
    u = gaussian_start(2).raw(UV, 30)["u"]
    result = train_network(
        UVNetwork(label=1.0), eta=0.9, steps=100, start={"u": u, "v": u.copy()}, record="parameters"
    )
    assert np.array_equal(result["u"], result["v"])
    nearly = train_network(
        UVNetwork(label=1.0),
        eta=0.9,
        steps=100,
        start={"u": u, "v": 1.001 * u},
        record="parameters",
    )
    assert not np.array_equal(nearly["u"], nearly["v"])


# ---------------------------------------------------------------- phases and statuses


def status_of(**arguments):
    return train_network(UVNetwork(arguments.pop("label", 0.0)), **arguments)


@pytest.mark.parametrize(
    ("a0", "status"),
    [
        (1.0, TrainingStatus.CONVERGED),
        (2.5, TrainingStatus.CONVERGED),
        (4.2, TrainingStatus.DIVERGED),
    ],
)
def test_the_three_phases_of_the_uv_model(a0, status):
    p = gaussian_start(0).raw(UV, 2000)
    lam = top_eigenvalue(UVNetwork(), p, None)
    result = status_of(eta=a0 / lam, steps=400, start=p, record="lam")
    assert result.status == status
    assert result.status_step < 400
    assert (result.peak_step == 0) == (a0 < 2)
    assert result.peak_loss == result.loss.max()
    assert result["lam"][0] == pytest.approx(float(lam), rel=1e-13)
    if a0 == 2.5:
        assert result.eta * result["lam"][-1] < 2
        assert result.peak_loss > 100 * result.loss[0]


def test_a_diverged_network_stops_at_once_and_no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = status_of(eta=3.0, n=100, steps=10_000, record=["lam", "gram"])
    assert result.diverged
    assert result.last_step == result.status_step < 1000
    assert len(result.loss) == result.last_step + 1
    assert len(result["lam"]) == len(result.loss)
    q = result.eta * np.sqrt(2 * result.loss / result.n)
    assert q[-1] > 1e100
    assert (q[:-1] <= 1e100).all()


def test_bounded_and_unsettled_is_undecided():
    """Above kappa = 1 no minimum is stable: the balanced network falls into a cycle."""
    n, y = 25, 1.0
    eta = 1.15 * np.sqrt(n) / y
    u = np.full(n, 0.5)
    result = status_of(eta=eta, label=y, steps=2000, start={"u": u, "v": u.copy()})
    assert result.status == TrainingStatus.UNDECIDED
    assert result.status_step == 2000
    assert result.loss[-1] > 1e-6


def test_resting_on_an_unstable_minimum_is_not_convergence():
    rest = {"u": np.array([2.0, 0.0]), "v": np.array([0.0, 2.0])}
    # lambda = 4, f = 0: eta lambda is 3.2 against 1.6.
    assert status_of(eta=0.8, steps=5, start=rest).status == TrainingStatus.UNDECIDED
    assert status_of(eta=0.4, steps=5, start=rest).status == TrainingStatus.CONVERGED


def test_momentum_raises_the_threshold_of_stability():
    rest = {"u": np.array([2.0, 0.0]), "v": np.array([0.0, 2.0])}
    result = status_of(eta=0.8, steps=5, start=rest, optimizer="heavy_ball", beta=0.7)
    assert result.status == TrainingStatus.CONVERGED


def test_the_edge_of_divergence_lies_at_four_at_every_width():
    """Measured at half a per cent on both sides; an edge 5 % higher would be seen."""
    for n in (1, 2, 5, 20):
        p = gaussian_start(seeds=range(50)).raw(UV, n)
        edge = 4 * n / ((p["u"] ** 2).sum(axis=1) + (p["v"] ** 2).sum(axis=1))
        factors = np.array([[0.995], [1.005], [0.995 * 1.05]])
        outcome = train_summary(UVNetwork(), eta=factors * edge, steps=20_000, start=p)
        assert not outcome.diverged[0].any()
        assert outcome.diverged[1].all()
        assert outcome.diverged[2].all()


@pytest.mark.full
def test_digits_catapult_to_a_flatter_minimum():
    data = digits()
    network = LinearNetwork(64)
    p = gaussian_start(0).raw(network.shapes, 512)
    lam = float(top_eigenvalue(network, p, data.X))
    etas = np.array([1.0, 3.0, 6.0]) / lam
    outcome = train_summary(network, data, eta=etas, steps=400, start=p)
    assert list(outcome.diverged) == [False, False, True]
    final = top_eigenvalue(network, {k: a[:2] for k, a in outcome.parameters.items()}, data.X) / lam
    assert 0.9 < final[0] < 1.1
    assert 0.3 < final[1] < 0.7
    assert outcome.peak_step[0] == 0
    assert outcome.peak_loss[1] > 2 * outcome.peak_loss[0]


def test_a_network_that_does_not_close_trains_too():
    X, Y = digits(samples=40)
    relu = GenericNetwork(
        lambda p, X: anp.maximum(X @ p["U"].T, 0.0) @ p["v"] / len(p["v"]) ** 0.5,
        {"U": ("n", 64), "v": ("n",)},
    )
    p = gaussian_start(0).raw(relu.shapes, 128)
    lam = float(top_eigenvalue(relu, p, X))
    result = train_network(relu, (X, Y), eta=1.0 / lam, steps=100, start=p)
    assert (np.diff(result.loss) < 0).all()
    assert train_network(relu, (X, Y), eta=40.0 / lam, steps=300, start=p).diverged


# ---------------------------------------------------------------- lanes and determinism


def test_the_same_call_gives_the_same_bits():
    data = digits(samples=50)
    courses = [
        train_network(LinearNetwork(64), data, eta=2.0, n=50, steps=30, record="gram")
        for _ in range(2)
    ]
    assert np.array_equal(courses[0].loss, courses[1].loss)
    assert np.array_equal(courses[0]["gram"], courses[1]["gram"])
    other = train_network(
        LinearNetwork(64), data, eta=2.0, n=50, steps=30, start=gaussian_start(seed=1)
    )
    assert not np.array_equal(courses[0].loss, other.loss)


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 1000), min_size=2, max_size=5, unique=True),
    n=st.integers(1, 30),
    a0=st.floats(0.5, 6.0),
    beta=st.sampled_from([0.0, 0.5]),
    omega=st.sampled_from([0.0, 0.01]),
)
def test_lanes_do_not_disturb_each_other(seeds, n, a0, beta, omega):
    start = gaussian_start(seeds=seeds)
    rest = {
        "steps": 12, "eta": a0 / 2, "optimizer": "heavy_ball", "beta": beta, "weight_decay": omega
    }  # fmt: skip
    together = train_network(UVNetwork(0.2), n=n, start=start, record="output", **rest)
    for i, seed in enumerate(seeds):
        alone = train_network(
            UVNetwork(0.2), n=n, start=gaussian_start(seed), record="output", **rest
        )
        assert together.status[i] == alone.status
        steps = len(alone.loss)
        # Sums over lanes may be vectorised in another order, n eps a step. A diverging output
        # grows like its cube, which triples relative errors: 3^12 * 30 eps = 4e-9.
        assert relative_error(together["output"][:steps, i], alone["output"]) < 1e-8


def test_diverging_lanes_leave_the_others_alone():
    p = gaussian_start(5).raw(UV, 50)
    etas = np.array([0.5, 3.0, 1.2])
    together = train_network(UVNetwork(), eta=etas, steps=300, start=p, record=["lam", "output"])
    assert list(together.diverged) == [False, True, False]
    assert np.isfinite(together.loss[:, [0, 2]]).all()
    gone = together.status_step[1]
    assert (together.loss[gone:, 1] == together.loss[gone, 1]).all()
    for i in (0, 2):
        alone = train_network(UVNetwork(), eta=etas[i], steps=300, start=p, record="lam")
        assert relative_error(together["lam"][:, i], alone["lam"]) < TRAJECTORY


def test_start_rates_and_labels_broadcast_to_the_lanes():
    outcome = train_summary(
        UVNetwork(label=np.array([[[0.0]], [[0.5]]])),
        eta=np.array([[0.1], [0.2], [0.3]]),
        n=6,
        start=gaussian_start(seeds=range(4)),
        steps=3000,
    )
    assert outcome.status.shape == (2, 3, 4)
    assert outcome.parameters["u"].shape == (2, 3, 4, 6)
    assert outcome.converged.all()
    np.testing.assert_allclose(outcome.output[1], 0.5, atol=1e-9)
    np.testing.assert_allclose(outcome.output[0], 0.0, atol=1e-9)


def test_summary_and_course_agree():
    arguments = {"eta": np.array([0.4, 1.3, 2.6]), "n": 40, "steps": 500}
    course = train_network(UVNetwork(), **arguments)
    summary = train_summary(UVNetwork(), **arguments)
    for name in ("status", "status_step", "peak_step"):
        assert np.array_equal(getattr(course, name), getattr(summary, name))
    np.testing.assert_allclose(course.peak_loss, summary.peak_loss, rtol=TRAJECTORY)
    assert summary.last_step < 500


# ---------------------------------------------------------------- records


def test_recorded_gram_matrices_are_those_of_the_parameters():
    data = digits(samples=20)
    network = LinearNetwork(64, 1)
    result = train_network(
        network, data, eta=1.0, n=30, steps=12, record={"gram": 4, "parameters": 4, "output": 6}
    )
    assert list(result.recorded_steps["gram"]) == [0, 4, 8, 12]
    assert list(result.recorded_steps["output"]) == [0, 6, 12]
    assert result["gram"].shape == (4, 65, 65)
    assert result["output"].shape == (3, 20, 1)
    for i in range(4):
        V, U = result["V"][i], result["U"][i]
        # Blocks in the order of the shapes: V first. Sums of 30 products.
        np.testing.assert_allclose(result["gram"][i][0, 0], V[0] @ V[0] / 30, atol=1e-13)
        np.testing.assert_allclose(result["gram"][i][0, 1:], V[0] @ U / 30, atol=1e-13)
        np.testing.assert_allclose(result["gram"][i][1:, 1:], U.T @ U / 30, atol=1e-13)
    assert np.array_equal(result["V"][-1], result.parameters["V"])
    assert np.array_equal(result["output"][-1], result.output)
    assert result.loss.shape == (13,)


def test_the_gradient_norm_holds_weight_decay_and_the_loss_does_not():
    p = {"u": np.array([1.0, 2.0]), "v": np.array([3.0, 1.0])}
    result = train_network(UVNetwork(1.0), eta=0.1, steps=0, start=p, weight_decay=0.5)
    f = 5 / np.sqrt(2)
    gradient = (f - 1) / np.sqrt(2) * np.array([3.0, 1.0, 1.0, 2.0]) + 0.5 * np.array(
        [1.0, 2.0, 3.0, 1.0]
    )
    assert result.loss[0] == pytest.approx((f - 1) ** 2 / 2, rel=4 * EPS)
    assert result.grad_norm2[0] == pytest.approx(gradient @ gradient, rel=16 * EPS)
    assert result.output == pytest.approx(f, rel=4 * EPS)


def test_gram_matrices_of_a_start_are_those_that_training_records():
    start = gaussian_start(seeds=[1, 2])
    result = train_network(UVNetwork(), eta=0.1, n=16, steps=0, start=start, record="gram")
    np.testing.assert_allclose(result["gram"][0], start.gram(2, 16), atol=16 * EPS)
    assert np.array_equal(result["gram"][0], gram(start.raw(UV, 16), UV))


def test_progress_is_told_and_ends_at_the_last_step():
    seen = []
    train_network(UVNetwork(), eta=0.1, n=4, steps=1000, progress=lambda *at: seen.append(at))
    assert seen[0] == (0, 1000)
    assert seen[-1] == (1000, 1000)
    assert 100 <= len(seen) <= 202
    assert [s for s, _ in seen] == sorted({s for s, _ in seen})


def test_results_are_frozen_and_describe_themselves():
    result = train_network(UVNetwork(), eta=0.1, n=4, steps=3)
    with pytest.raises(AttributeError):
        result.n = 5
    assert "UVNetwork, n = 4, gd, squared loss" in str(result)
    assert "seed 0" in result.start
    with pytest.raises(InputError, match="recorded"):
        result["gram"]


# ---------------------------------------------------------------- bad input

X, Y = np.eye(3), np.ones(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eta": 0.0}, "learning rate"),
        ({"eta": -1.0}, "learning rate"),
        ({"eta": np.nan}, "learning rate"),
        ({"eta": "fast"}, "real numbers"),
        ({"eta": []}, "nothing to train"),
        ({"steps": -1}, "non-negative integer"),
        ({"steps": 2.5}, "non-negative integer"),
        ({"n": 0}, "width n"),
        ({"n": None}, "give the width"),
        ({"n": np.nan}, "width n"),
        ({"optimizer": "heavy_bal"}, "did you mean 'heavy_ball'"),
        ({"optimizer": 3}, "an optimizer is"),
        ({"loss": "logistik"}, "did you mean 'logistic'"),
        ({"beta": 0.5}, "no momentum"),
        ({"optimizer": "heavy_ball", "beta": 1.0}, r"\[0, 1\)"),
        ({"optimizer": "heavy_ball", "beta": np.nan}, r"\[0, 1\)"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"weight_decay": np.inf}, "weight_decay"),
        ({"record": "grams"}, "did you mean 'gram'"),
        ({"record": "gram", "every": 0}, "steps between"),
        ({"start": 5}, "start law"),
        ({"start": {"u": np.ones(3)}}, "parameters are"),
        ({"start": {"u": np.ones(3), "v": np.ones(3)}}, "width 3, n = 4"),
        ({"data": (X, Y)}, "leave data out"),
        ({"eta": np.ones(2), "beta": np.zeros(3)}, "broadcast"),
        ({"network": "uv"}, "not a network"),
        ({"network": LinearNetwork(3)}, "needs data"),
        ({"network": LinearNetwork(3), "data": X}, "pair"),
        ({"network": LinearNetwork(4), "data": (X, Y)}, "4 inputs, X has 3"),
        ({"network": LinearNetwork(3, 2), "data": (X, Y)}, "outputs have shape"),
        ({"network": LinearNetwork(3), "data": (X, Y[:2])}, "one target for each"),
        ({"network": LinearNetwork(3), "data": (X, [1, np.nan, 1])}, "NaN"),
        (
            {"network": LinearNetwork(3), "data": (X, Y), "loss": "softmax_cross_entropy"},
            "at least 2 outputs",
        ),
        (
            {"network": LinearNetwork(3), "data": (X, [0, 1, 1]), "loss": "logistic"},
            "labels -1 and 1",
        ),
    ],
)
def test_bad_input_gives_one_clear_error(change, message):
    arguments = {"network": UVNetwork(), "eta": 0.1, "steps": 3, "n": 4, **change}
    with pytest.raises(InputError, match=message):
        train_network(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UVNetwork(label=np.nan), "label"),
        (lambda: UVNetwork(label="one"), "label"),
        (lambda: UVNetwork(parametrisation="ntc"), "did you mean 'ntk'"),
        (lambda: LinearNetwork(0), "inputs"),
        (lambda: LinearNetwork(3, 1.5), "outputs"),
        (lambda: GenericNetwork(lambda p, X: 0.0, {"u": (3,)}), "side of the width"),
        (lambda: GenericNetwork(lambda p, X: 0.0, UV, label=np.inf), "label"),
        (lambda: Adam(decay1=1.0), "Adam"),
    ],
)
def test_bad_networks_and_optimizers_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
