"""Spectra of PyTorch networks: dense matrices, a second method and closed forms agree with them.

The dense references share nothing with the code under test but PyTorch's reverse mode: rows of
the Jacobian one backward pass each, the Hessian by two.
"""

from __future__ import annotations

import doctest
import subprocess
import sys

import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory.errors import CatapultError, InputError
from catapult_theory.networks import eigenvalues, spectra
from catapult_theory.networks.eigenvalues import leading_eigenpairs, memory_needed

torch = pytest.importorskip("torch")
pytest.importorskip("curvlinops")
nn = torch.nn

from catapult_theory.networks.spectra import spectrum  # noqa: E402
from catapult_theory.networks.spectra_operators import rounding_of  # noqa: E402
from catapult_theory.networks.torch_problem import torch_problem  # noqa: E402

DENSE, METHODS = 1e-6, 1e-4
M, D, K = 7, 4, 3
PAIRED = [
    ("deep relu", "cross_entropy"),
    ("normalised", "mse"),
    ("group normalised", "mse"),
    *(pytest.param(n, "mse", marks=pytest.mark.full) for n in ("recurrent", "attention")),
]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.read = nn.GRU(2, 5, batch_first=True), nn.Linear(5, K)

    def forward(self, x):
        return self.read(self.cell(x.reshape(len(x), 2, 2))[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(2, 1, 6, dropout=0.0, batch_first=True)
        self.read = nn.Linear(2, K)

    def forward(self, x):
        return self.read(self.layer(x.reshape(len(x), 2, 2)).mean(1))


NETWORKS = {
    "tanh": lambda: nn.Sequential(nn.Linear(D, 8), nn.Tanh(), nn.Linear(8, K)),
    "narrow": lambda: nn.Sequential(nn.Linear(D, 2), nn.Tanh(), nn.Linear(2, K)),
    "deep relu": lambda: nn.Sequential(
        nn.Linear(D, 7), nn.ReLU(), nn.Linear(7, 7), nn.ReLU(), nn.Linear(7, K)
    ),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2, padding=1), nn.GELU(), nn.Flatten(),
        nn.Linear(27, K),
    ),
    "normalised": lambda: nn.Sequential(
        nn.Linear(D, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, K)
    ),
    "group normalised": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 2, padding=1), nn.GroupNorm(2, 4), nn.Tanh(),
        nn.Flatten(), nn.Linear(36, K),
    ),
    "recurrent": Recurrent,
    "attention": Attentive,
}  # fmt: skip
LOSSES = ("squared", "mse", "cross_entropy")
# Each network and each loss once; all pairs in the full tier.
SAMPLE = {("tanh", "squared"), ("deep relu", "cross_entropy")} | {(n, "mse") for n in NETWORKS}
CASES = [
    pytest.param(name, loss, marks=() if (name, loss) in SAMPLE else pytest.mark.full)
    for name in NETWORKS
    for loss in LOSSES
]


def data(loss):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(M, D))
    return X, rng.integers(K, size=M) if loss == "cross_entropy" else rng.normal(size=(M, K))


def problem_of(name, loss, **more):
    torch.manual_seed(3)
    return torch_problem(NETWORKS[name](), *data(loss), loss, **more)


def jacobian(problem):
    """Rows of df/dparameters, one backward pass each."""
    module = problem.module
    leaves = list(module.parameters())
    outputs = module(problem.X).reshape(-1)
    rows = []
    for entry in outputs:
        parts = torch.autograd.grad(entry, leaves, retain_graph=True)
        rows.append(torch.cat([p.reshape(-1) for p in parts]))
    return torch.stack(rows).numpy()


def bend(problem):
    """d^2 L/df^2 as a whole matrix."""
    outputs = problem.module(problem.X).detach()
    flat = torch.autograd.functional.hessian(lambda f: problem.loss(f, problem.Y), outputs)
    return flat.reshape(M * K, M * K).numpy()


def hessian(problem):
    leaves = list(problem.module.parameters())
    loss = problem.loss(problem.module(problem.X), problem.Y)
    slopes = torch.cat(
        [s.reshape(-1) for s in torch.autograd.grad(loss, leaves, create_graph=True)]
    )
    rows = [
        torch.cat([
            s.reshape(-1)
            for s in torch.autograd.grad(s, leaves, retain_graph=True, materialize_grads=True)
        ])
        for s in slopes
    ]  # fmt: skip
    return torch.stack(rows).numpy()


def dense(problem, kind):
    if kind == "hessian":
        matrix = hessian(problem)
    else:
        J = jacobian(problem)
        matrix = J.T @ J / M if kind == "ntk" else J.T @ bend(problem) @ J
    return np.linalg.eigvalsh(matrix)[::-1]


def misses(values, reference):
    return np.abs(values - reference[: len(values)]).max() / reference[0]


@pytest.fixture
def plain(monkeypatch):
    """The references need second derivatives of attention as well."""
    from catapult_theory.networks.torch_part import differentiable

    with differentiable():
        yield


@pytest.mark.parametrize("kind", ["ntk", "ggn", "hessian"])
@pytest.mark.parametrize(("name", "loss"), CASES)
def test_a_spectrum_is_that_of_the_dense_matrix(name, loss, kind, plain):
    problem = problem_of(name, loss)
    found, reference = spectrum(problem, kind, 3), dense(problem, kind)
    assert misses(found.values, reference) <= DENSE
    assert (found.residuals <= 1e-7 * found.top).all()
    assert misses(1.001 * found.values, reference) > DENSE


@pytest.mark.parametrize("kind", ["ntk", "ggn"])
@pytest.mark.parametrize(("name", "loss"), [*CASES[:3], *PAIRED])
def test_sample_space_and_parameter_space_agree(name, loss, kind):
    problem = problem_of(name, loss)
    one, other = (spectrum(problem, kind, 3, space=space) for space in ("samples", "parameters"))
    assert {one.size, other.size} == {M * K, problem.size}
    assert misses(one.values, other.values) <= METHODS
    assert misses(1.001 * one.values, other.values) > METHODS


# Of layer normalisation (in attention too) it is wrong, of group normalisation it is refused.
BY_CURVLINOPS = [n for n in NETWORKS if n not in ("normalised", "group normalised", "attention")]


@pytest.mark.parametrize("name", BY_CURVLINOPS)
def test_the_hessian_is_that_of_curvlinops(name):
    import curvlinops

    problem = problem_of(name, "mse")
    one = spectrum(problem, "hessian", 3).values
    matrix = curvlinops.HessianLinearOperator(
        problem.module, nn.MSELoss(), list(problem.module.parameters()), [(problem.X, problem.Y)]
    )
    eye = torch.eye(problem.size, dtype=torch.float64)
    assert misses(one, np.linalg.eigvalsh((matrix @ eye).numpy())[::-1]) <= METHODS


def test_spectra_say_nothing_of_what_they_import_and_all_that_the_user_wrote():
    code = (
        "import numpy as np, torch, warnings, catapult_theory as ct; "
        "net = torch.nn.Linear(2, 3); ct.spectra(net, np.eye(8, 2), np.ones((8, 3)), 'mse'); "
        "import sys; assert 'curvlinops' in sys.modules; warnings.warn('one of the user')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True
    )
    assert "torch.jit.script" not in done.stderr
    assert "one of the user" in done.stderr


def saturated(scale):
    """A network whose softmax is the surer of every sample the larger the scale, and right."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 30), nn.Tanh(), nn.Linear(30, 3)).double()
    inputs = torch.as_tensor(np.random.default_rng(0).normal(size=(12, 4)))
    with torch.no_grad():
        for parameter, factor in zip(net.parameters(), (100, 100, scale, scale), strict=True):
            parameter.mul_(factor)
        labels = net(inputs).argmax(1)
    return torch_problem(net, inputs, labels, "cross_entropy")


@pytest.mark.parametrize(("kind", "space"), [("ggn", "auto"), ("ggn", "parameters"),
                                             ("hessian", "auto")])  # fmt: skip
def test_an_eigenvalue_below_the_rounding_of_its_parts_is_zero_within_a_bound(kind, space):
    flat, steep = (saturated(scale) for scale in (3000.0, 300.0))
    found = spectrum(flat, kind, 3, space=space)
    bound = found.residuals.max()
    assert np.abs(found.values).max() <= bound
    # The bound is N roundings of a curvature that is not cancelled, 3000^2 of the hidden units.
    kernel = spectrum(flat, "ntk").top
    assert bound <= 1e-11 * kernel
    assert bound == rounding_of(flat, dict(flat.start), kind)
    # Where nothing is lost the residual is what it was, and far below the rounding that may be.
    kept = spectrum(steep, kind, 3, space=space)
    assert kept.residuals.max() <= 1e-7 * kept.top
    with pytest.raises(ct.CatapultError, match="not settled"):
        spectrum(steep, kind, 3, space=space, tolerance=1e-20)


def test_noise_is_an_eigenvalue_only_where_rounding_explains_it():
    noise = np.random.default_rng(0).normal(size=(50, 50)) * 1e-16
    kept = (lambda x: noise @ x, 50, 2, 1e-7, 0)
    found = eigenvalues.leading_eigenpairs(*kept, rounding=lambda: 1e-14)
    assert (found.residuals == 1e-14).all()
    assert np.abs(found.values).max() < 1e-14
    for lost in (0.0, 1e-16):
        with pytest.raises(ct.CatapultError):
            eigenvalues.leading_eigenpairs(*kept, rounding=lambda lost=lost: lost)


def test_the_smaller_space_is_taken():
    assert spectrum(problem_of("tanh", "mse"), "ntk").space == "samples"
    assert spectrum(problem_of("narrow", "mse"), "ntk").space == "parameters"


def test_chunks_change_nothing():
    whole, parts = (problem_of("deep relu", "cross_entropy", chunk=c) for c in (None, 4))
    for kind in spectra.KINDS:
        assert np.isclose(spectrum(whole, kind).top, spectrum(parts, kind).top, rtol=1e-9)


def test_one_output_alone_misstates_the_kernel():
    problem = problem_of("tanh", "squared")
    J = jacobian(problem).reshape(M, K, -1)
    alone = [np.linalg.eigvalsh(J[:, i] @ J[:, i].T / M)[-1] for i in range(K)]
    assert spectrum(problem, "ntk").top > 1.01 * max(alone)


class UV(nn.Module):
    def __init__(self, u, v):
        super().__init__()
        self.u, self.v = nn.Parameter(torch.tensor(u)), nn.Parameter(torch.tensor(v))

    def forward(self, x):
        return x * (self.u @ self.v) / len(self.u) ** 0.5


def test_along_a_training_run_lambda_is_that_of_the_closed_uv_model():
    n, eta, steps = 30, 1.2, 12
    u, v = np.random.default_rng(2).normal(size=(2, n))
    start = {"f": u @ v / np.sqrt(n), "lam": (u @ u + v @ v) / n}
    exact = ct.trajectory(ct.derive(ct.models.uv()), start, steps, backend="array", eta=eta, n=n)
    problem = torch_problem(UV(u, v), np.ones((1, 1)), np.zeros((1, 1)))
    point, found = dict(problem.start), []
    for _ in range(steps + 1):
        found.append(spectrum(problem, "ntk", point=point).top)
        slope = problem.gradient(point)[2]
        point = {name: t - eta * slope[name] for name, t in point.items()}
    lam = exact["lam"].values
    assert np.abs(found - lam).max() <= 1e-12 * lam.max()
    frozen = np.full_like(lam, lam[0])
    assert np.abs(frozen - lam).max() > 1e-2 * lam.max()


@pytest.mark.parametrize(
    ("loss", "scale"),
    [("squared", 1.0), ("mse", 2 / K), (nn.MSELoss(), 2 / K), (nn.HuberLoss(), None),
     (lambda f, y: 3 * (f - y).square().mean(), 6 / K), (nn.L1Loss(), None)],
)  # fmt: skip
def test_the_normalisation_of_a_loss_is_found(loss, scale):
    problem = torch_problem(NETWORKS["tanh"](), *data("mse"), loss)
    assert (problem.scale is None) == (scale is None)
    if scale is not None:
        assert np.isclose(problem.scale, scale, rtol=1e-10)
        ratio = spectrum(problem, "ggn").top / spectrum(problem, "ntk").top
        assert np.isclose(ratio, scale, rtol=1e-6)


def test_a_learning_rate_of_mse_acts_as_its_scaled_one_in_the_theory():
    theirs, ours = problem_of("tanh", "mse"), problem_of("tanh", "squared")
    assert theirs.scale == pytest.approx(2 / K)
    eta = 0.7
    steps = [
        {n: rate * s for n, s in p.gradient(p.start)[2].items()}
        for p, rate in ((theirs, eta), (ours, theirs.scale * eta))
    ]
    for name in steps[0]:
        assert torch.allclose(steps[0][name], steps[1][name], rtol=1e-12, atol=1e-15)


def test_eigenvectors_pulled_back_are_those_of_parameter_space():
    problem = problem_of("tanh", "cross_entropy")
    J = jacobian(problem)
    matrix = J.T @ bend(problem) @ J
    for space in ("samples", "parameters"):
        found = spectrum(problem, "ggn", 3, space=space)
        V = found.directions()
        assert np.abs(V.T @ V - np.eye(3)).max() < 1e-6
        assert np.abs(matrix @ V - V * found.values).max() <= 1e-6 * found.top


def test_a_loss_that_is_not_convex_in_the_outputs_goes_to_parameter_space():
    problem = torch_problem(
        NETWORKS["tanh"](), *data("mse"), lambda f, y: torch.cos(2 * (f - y)).mean()
    )
    found = spectrum(problem, "ggn", 2)
    assert found.space == "parameters"
    assert misses(found.values, dense(problem, "ggn")) <= DENSE
    with pytest.raises(InputError, match="not convex"):
        spectrum(problem, "ggn", space="samples")


def test_the_summary_holds_all_three_and_says_the_normalisation():
    found = ct.spectra(NETWORKS["tanh"](), *data("mse"), loss="mse", count=2)
    assert found.lam == found.ntk.top
    assert np.isclose(found.eta_crit, 2 / (found.scale * found.lam), rtol=1e-6)
    assert "0.6667 times the theory's" in str(found)
    assert "residuals at most" in str(found)


def test_the_users_network_is_left_as_it_was():
    net = NETWORKS["tanh"]()
    before = {n: p.clone() for n, p in net.named_parameters()}
    ct.spectra(net, *data("mse"), loss="mse")
    assert all(torch.equal(p, before[n]) and p.grad is None for n, p in net.named_parameters())
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_frozen_parameters_count_for_nothing():
    net = NETWORKS["tanh"]()
    whole = torch_problem(net, *data("mse"), "mse")
    net[0].requires_grad_(False)
    part = torch_problem(net, *data("mse"), "mse")
    assert part.size == whole.size - 8 * D - 8
    assert spectrum(part, "ntk").top < spectrum(whole, "ntk").top


def test_single_precision_has_its_own_tolerance():
    single = problem_of("tanh", "mse", dtype="float32")
    found = spectrum(single, "ntk")
    assert np.isclose(found.top, spectrum(problem_of("tanh", "mse"), "ntk").top, rtol=1e-4)
    with pytest.raises(CatapultError, match="not settled"):
        spectrum(single, "ntk", tolerance=1e-12)


def test_memory_is_bounded_and_stated():
    problem = problem_of("tanh", "mse")
    found = spectrum(problem, "hessian")
    assert found.memory == memory_needed(problem.size, 1)
    with pytest.raises(InputError, match="MiB"):
        spectrum(problem, "hessian", memory=found.memory - 1)


# -- eigenvalues of any symmetric operator --


def symmetric(size, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(size, size))
    return matrix + matrix.T


@pytest.mark.parametrize("size", [1, 5, eigenvalues.DENSE_UP_TO, eigenvalues.DENSE_UP_TO + 1, 80])
def test_leading_eigenvalues_lie_within_their_bounds(size):
    matrix = symmetric(size)
    count = min(3, size)
    found = leading_eigenpairs(lambda x: matrix @ x, size, count)
    reference = np.linalg.eigvalsh(matrix)[::-1][:count]
    assert (np.abs(found.values - reference) <= found.residuals + 1e-12 * abs(matrix).max()).all()


def test_an_operator_that_is_not_symmetric_is_refused():
    matrix = np.random.default_rng(0).normal(size=(80, 80))
    with pytest.raises(CatapultError, match=r"not settled|found no"):
        leading_eigenpairs(lambda x: matrix @ x, 80)


def test_a_noisy_operator_is_refused():
    matrix, rng = symmetric(80), np.random.default_rng(1)
    with pytest.raises(CatapultError, match="not settled"):
        leading_eigenpairs(lambda x: matrix @ x + 1e-3 * rng.normal(size=80), 80)


def test_a_zero_operator_and_a_non_finite_one_are_told_apart():
    assert leading_eigenpairs(np.zeros_like, 80).values == [0.0]
    with pytest.raises(CatapultError, match="overflows"):
        leading_eigenpairs(lambda x: np.full_like(x, np.nan), 80)


@pytest.mark.parametrize("count", [0, 6])
def test_a_count_that_is_not_there_is_refused(count):
    with pytest.raises(InputError, match="1 to 5"):
        leading_eigenpairs(lambda x: x, 5, count)


def test_the_example_of_the_public_function_is_true():
    text = ct.spectra.__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(text, {"spectra": ct.spectra}, "spectra", None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
