"""What the probe refuses, each with what to change, and the same made usable, which it takes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory.errors import CatapultError, InputError, MissingBackend, ModelError

pytest.importorskip("curvlinops")
torch = pytest.importorskip("torch")
nn = torch.nn
parametrizations = nn.utils.parametrizations

from catapult_theory.networks.torch_problem import torch_problem  # noqa: E402

RNG = np.random.default_rng(0)
M = 6
X, Y = RNG.normal(size=(M, 4)), RNG.normal(size=(M, 2))
LABELS = np.arange(M) % 2


@pytest.fixture(autouse=True)
def kept_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("CATAPULT_CACHE", str(tmp_path))


def small():
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))


class Makes(nn.Module):
    """A network that does one thing to a linear layer's output, or to its input."""

    def __init__(self, after=lambda y, x: y, before=lambda x: x):
        super().__init__()
        self.layer, self.after, self.before = nn.Linear(4, 2), after, before

    def forward(self, x):
        return self.after(self.layer(self.before(x)), x)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.layer(x)


def with_layer(layer):
    return nn.Sequential(nn.Linear(4, 4), layer, nn.Linear(4, 2))


def frozen():
    return nn.Linear(4, 2).requires_grad_(False)


def weight_normalised():
    with pytest.warns(FutureWarning):
        return nn.utils.weight_norm(nn.Linear(4, 2))


BAD_NETWORKS = [
    (with_layer(nn.Dropout(0.1)), ModelError, r"1 \(Dropout\).*\.eval\(\)"),
    (with_layer(nn.BatchNorm1d(4)), ModelError, r"1 \(BatchNorm1d\).*\.eval\(\)"),
    (with_layer(nn.BatchNorm1d(4, track_running_stats=False)).eval(), ModelError, "GroupNorm"),
    (with_layer(nn.ReLU(inplace=True)), ModelError, "inplace=False"),
    (Makes(before=lambda x: x.mul_(2)), ModelError, "writes into its inputs"),
    (Counting(), ModelError, "changes calls"),
    (Makes(after=lambda y, x: y + torch.rand_like(y)), ModelError, "run again"),
    (Makes(after=lambda y, x: y - y.mean(0)), ModelError, "depends on the others"),
    (Makes(after=lambda y, x: y / 0 * 0), InputError, "NaN or infinite"),
    (Makes(after=lambda y, x: (y, x)), ModelError, "returns a tuple"),
    (Makes(after=lambda y, x: y.sum(0)), ModelError, "batch_first"),
    (nn.Linear(5, 2), InputError, "cannot take X"),
    (
        Makes(after=lambda y, x: {}["key"]),
        ModelError,
        r"fails on X, KeyError.*test_probe_refusals\.py",
    ),
    (
        lambda: {}["key"],
        ModelError,
        r"makes no network, KeyError: 'key' \(test_probe_refusals\.py, line",
    ),
    (lambda: len(3), ModelError, r"makes no network, TypeError.*\(test_probe_refusals\.py, line"),
    (weight_normalised(), ModelError, r"cannot be copied \(RuntimeError.*weight_norm"),
    (parametrizations.weight_norm(nn.Linear(4, 2)), ModelError, "differentiated twice"),
    (frozen(), ModelError, "no trainable parameter"),
    (nn.Linear, ModelError, "without arguments"),
    (lambda: "net", ModelError, "returns a str"),
    ("net", InputError, "neither a torch.nn.Module nor a function"),
]


@pytest.mark.parametrize(("network", "error", "words"), BAD_NETWORKS)
def test_a_network_that_cannot_be_used_is_refused_with_what_to_change(network, error, words):
    with pytest.raises(error, match=words) as found:
        ct.probe(network, X, Y, "mse")
    assert "\n" not in str(found.value)


def test_the_same_network_made_usable_is_taken():
    for layer in (nn.Dropout(0.1), nn.BatchNorm1d(4)):
        torch_problem(with_layer(layer).eval(), X, Y, "mse")
    torch_problem(with_layer(nn.ReLU()), X, Y, "mse")
    torch_problem(Makes(), X, Y, "mse")


BAD_LOSSES = [
    (nn.MSELoss(reduction="sum"), ModelError, 'reduction="mean"'),
    (nn.CrossEntropyLoss(reduction="none"), ModelError, 'reduction="mean"'),
    (lambda f, y: (f - y).square().sum(), ModelError, "a sum over"),
    (lambda f, y: (f - y).square(), ModelError, "no scalar"),
    (lambda f, y: 3.0, ModelError, "returns a float and no tensor"),
    (lambda f, y: (f.mean(0) - y.mean(0)).square().sum(), ModelError, "not a plain mean"),
    (lambda f, y: (f - y).mean() / 0, InputError, "at the start"),
    ("msee", InputError, "did you mean 'mse'"),
    (3, InputError, "a loss is a name"),
]


@pytest.mark.parametrize(("loss", "error", "words"), BAD_LOSSES)
def test_a_loss_that_is_no_mean_is_refused(loss, error, words):
    with pytest.raises(error, match=words):
        ct.probe(small(), X, Y, loss)


BAD_DATA = [
    (X, Y[:, :1], "mse", "shape"),
    (X, Y[:-1], "mse", "6 samples, y has 5"),
    (X, LABELS, "mse", "one_hot"),
    (X, Y[:, 0], "mse", "broadcast"),
    (X, LABELS + 5, "cross_entropy", "cannot compare"),
    (X * np.nan, Y, "mse", "NaN"),
    (X, [["a", "b"]] * M, "mse", "not an array of numbers"),
    (X[:0], Y[:0], "mse", "empty"),
]


@pytest.mark.parametrize(("inputs", "targets", "loss", "words"), BAD_DATA)
def test_data_that_do_not_fit_are_refused(inputs, targets, loss, words):
    with pytest.raises(InputError, match=words):
        ct.probe(small(), inputs, targets, loss)


@pytest.mark.parametrize(("columns", "words"), [(10, "digits is ten classes"), (3, "3 columns")])
def test_targets_of_several_columns_for_one_output_are_told_apart(columns, words):
    with pytest.raises(InputError, match=words):
        torch_problem(nn.Linear(4, 1), X, np.eye(M, columns), "mse")


def test_whole_numbers_for_a_network_of_floating_ones_are_refused_with_the_way_out():
    whole = np.arange(4 * M).reshape(M, 4)
    with pytest.raises(InputError, match=r"make X floating, such as X.astype\(float\)"):
        ct.spectra(nn.Linear(4, 2), whole, Y, "mse")
    ct.spectra(nn.Linear(4, 2), whole.astype(float), Y, "mse")


BAD_NUMBERS = [
    {"steps": 5}, {"steps": 20.0}, {"accuracy": 0}, {"accuracy": 1.5}, {"highest": 0.5},
    {"tolerance": 0}, {"seeds": 2}, {"chunk": 0}, {"dtype": "float16"},
]  # fmt: skip


@pytest.mark.parametrize("numbers", BAD_NUMBERS, ids=str)
def test_numbers_that_cannot_be_used_are_refused(numbers):
    with pytest.raises(InputError):
        ct.probe(small(), X, Y, "mse", **numbers)


@pytest.mark.parametrize("package", ["torch", "curvlinops"])
def test_a_missing_package_is_said_with_the_line_that_installs_it(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingBackend, match=r"pip install -e '.\[torch\]'"):
        ct.probe(None, X, Y)


def test_running_out_of_memory_says_what_to_change():
    def greedy(y, x):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    with pytest.raises(CatapultError, match="chunk="):
        ct.probe(Makes(after=greedy), X, Y, "mse")


def test_a_network_that_learns_nothing_is_refused():
    net = small()
    nn.init.zeros_(net[2].weight)
    net[2].bias.requires_grad_(False)
    net[0].requires_grad_(True)
    net[2].weight.requires_grad_(False)
    with pytest.raises(InputError, match="tangent kernel is zero"):
        ct.probe(net, X, Y, "mse")
