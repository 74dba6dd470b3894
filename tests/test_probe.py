"""The probe: edges where they are known, what is kept, and its table, figure, command.

The uv-model's edges are theorems (theory, section 4): onset at eta lambda_0 = 2 up to O(1/n),
divergence from 4 on at every width. A network whose edges were the same whatever is measured
would be no measurement, hence the networks with other edges.
"""

from __future__ import annotations

import doctest
import math
import sys

import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory import cli
from catapult_theory.errors import InputError
from catapult_theory.validation.probing.loss_curve import growth, read_curve

pytest.importorskip("curvlinops")
torch = pytest.importorskip("torch")
nn = torch.nn
parametrizations = nn.utils.parametrizations

from catapult_theory.networks.torch_problem import torch_problem  # noqa: E402
from catapult_theory.networks.torch_scores import score, score_kind  # noqa: E402
from catapult_theory.networks.torch_training import (  # noqa: E402
    alignment,
    ceiling,
    descend,
    leading,
    top_direction,
)

N = 400
ONE = np.ones((1, 1))
RNG = np.random.default_rng(0)
M = 6
X, Y = RNG.normal(size=(M, 4)), RNG.normal(size=(M, 2))
LABELS = np.arange(M) % 2


@pytest.fixture(autouse=True)
def one_thread(monkeypatch, tmp_path):
    monkeypatch.setenv("CATAPULT_CACHE", str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class UV(nn.Module):
    """The uv-model, its label subtracted by the loss."""

    def __init__(self, n=N):
        super().__init__()
        self.u, self.v = nn.Parameter(torch.randn(n)), nn.Parameter(torch.randn(n))

    def forward(self, x):
        return x * (self.u @ self.v) / len(self.u) ** 0.5


def small(activation=nn.Tanh):
    return nn.Sequential(nn.Linear(4, 16), activation(), nn.Linear(16, 2))


# -- edges --


def test_the_edges_of_the_uv_model_are_found():
    found = ct.probe(UV, ONE, 0 * ONE, seeds=1, steps=60, highest=8)
    for start in found.starts:
        assert start.onset.low <= 2 * (1 + 10 / N)
        assert start.onset.high >= 2 * (1 - 10 / N)
        assert start.divergence.low <= 4 <= start.divergence.high
        assert start.divergence.high - start.divergence.low < 0.1
        assert not start.divergence.low <= 3.8 <= start.divergence.high


@pytest.mark.parametrize(("rate", "diverges"), [(3.98, False), (4.02, True)])
def test_the_uv_model_trains_just_below_four_and_never_just_above(rate, diverges):
    for seed in range(2):
        torch.manual_seed(seed)
        problem = torch_problem(UV(), ONE, 0 * ONE)
        top = leading(problem, problem.start, 1)
        direction = top_direction(problem, top)
        ran = descend(problem, rate / top.top, 300, direction, ceiling(problem))
        assert ran.diverged == diverges


def test_a_linear_model_diverges_where_it_stops_to_converge():
    # Its kernel never changes: no catapult, divergence from 2 on.
    (start,) = ct.probe(nn.Linear(4, 2), X, Y, "mse", steps=30, accuracy=0.05, highest=3).starts
    assert start.onset.low <= 2 <= start.onset.high
    # At 2 + x the loss grows by (1 + x)^2 a step, and has 300 to pass 1e12: x < 0.05 is not seen.
    assert 2 <= start.divergence.high <= 2.05 * (1 + 0.02)


def test_no_divergence_is_said_to_be_none_up_to_the_highest_rate():
    class Bounded(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(2, 4))

        def forward(self, x):
            return torch.sin(x @ self.w.T)

    (start,) = ct.probe(Bounded(), X, Y, "mse", steps=10, highest=2).starts
    assert start.divergence.high == math.inf
    assert not start.divergence.found
    assert str(start.divergence).startswith("> ")


def test_survival_alone_is_not_training():
    (start,) = ct.probe(small(), X, Y, "mse", steps=10, accuracy=1.0, highest=8).starts
    assert start.useful is None
    assert not any(run.useful for run in start.runs)
    assert any(not run.diverged for run in start.runs)


def test_the_useful_edge_lies_below_the_first_divergence():
    found = ct.probe(small, X, LABELS, "cross_entropy", seeds=1, steps=30, highest=12)
    (start,) = found.starts
    assert found.score == "accuracy"
    assert start.useful.low <= start.divergence.low
    rates = [run.eta_lam0 for run in start.runs if run.useful]
    assert start.useful.low in rates


def test_lambda_scatters_between_starts_and_every_start_has_its_own():
    found = ct.probe(small, X, Y, "mse", seeds=[4, 7], steps=10, highest=2)
    one, other = found.starts
    assert (one.seed, other.seed) == (4, 7)
    assert one.lam0 != other.lam0
    assert one.curvature0 == pytest.approx(found.scale * one.lam0, rel=1e-6)
    assert one.eta_crit == pytest.approx(2 / one.curvature0)


# -- what runs show --


def test_a_catapult_ends_in_a_flatter_minimum_than_it_began():
    torch.manual_seed(0)
    (start,) = ct.probe(UV(), ONE, 0 * ONE, steps=100, highest=8).starts
    runs = [run for run in start.runs if 2.5 < run.eta_lam0 < 3.9]
    assert runs
    for run in runs:
        assert run.curve.catapult > 1
        assert run.curve.peak_step > 0
        assert run.eta_lam < 2 < run.eta_lam0
    lazy = [run for run in start.runs if run.eta_lam0 < 1.9]
    assert lazy
    assert all(run.curve.peak == 1 and run.curve.catapult == 0 for run in lazy)


CURVES = [
    ([4, 3, 2, 1], (1, 0, 0, None, 0, 1)),
    ([1, 8, 2, 0.5], (8, 1, 8, 1, 0, 1)),
    ([4, 1, 2, 0.5], (1, 0, 0.5, 2, 0, 1)),
    ([1.0, *[0.5] * 14, 0.75, 0.25], (1, 0, 0, None, 1, 1.5)),
    ([1.0, 3.0, *[0.5] * 14, 1.0, 0.25, 0.5], (3, 1, 3, 1, 2, 2)),
    ([1.0, 2.0, math.inf], (math.inf, 2, math.inf, 2, 0, 1)),
]


@pytest.mark.parametrize(("losses", "expected"), CURVES)
def test_early_and_later_rises_are_told_apart(losses, expected):
    found = read_curve(np.array(losses, dtype=float))
    shown = (
        found.peak, found.peak_step, found.catapult, found.catapult_step, found.later_rises,
        found.later_peak,
    )  # fmt: skip
    assert shown == expected


@pytest.mark.parametrize(
    ("amplitudes", "factor"),
    [([1, -1.5], 1.5), ([2, -1], 0.5), ([0, 0], 0), ([0, 1], math.inf), ([1, math.nan], math.inf)],
)
def test_growth_is_that_of_the_first_step(amplitudes, factor):
    assert growth(amplitudes) == factor


def test_the_loss_falls_at_first_where_the_residual_along_the_top_grows_already():
    # Two modes of very different size: the loss is all in the flat one.
    problem = torch_problem(
        nn.Linear(2, 1, bias=False), np.diag([2.0, 1.0]), np.array([[0.01], [3.0]])
    )
    top = leading(problem, problem.start, 1)
    ran = descend(problem, 2.2 / top.top, 5, top_direction(problem, top), ceiling(problem))
    assert growth(ran.amplitudes) == pytest.approx(1.2)
    assert ran.losses[1] < ran.losses[0]


def test_alignment_is_the_share_of_the_gradient_in_the_top_eigenspace():
    torch.manual_seed(1)
    problem = torch_problem(small(), X, Y, "mse")
    found = leading(problem, problem.start, 2)
    gradient = torch.cat([g.reshape(-1) for g in problem.gradient(problem.start)[2].values()])
    V = found.directions()
    share = np.square(V.T @ gradient.numpy()).sum() / float(gradient @ gradient)
    assert alignment(problem, problem.start, found) == pytest.approx(share)
    anywhere = np.linalg.qr(np.random.default_rng(0).normal(size=V.shape))[0]
    other = np.square(anywhere.T @ gradient.numpy()).sum() / float(gradient @ gradient)
    assert other < 0.5 * share


def test_peaks_of_survivors_stay_far_below_the_ceiling():
    problem = torch_problem(small(), X, Y, "mse")
    assert ceiling(problem) > 1e6 * 709 * problem.value(problem.forward(problem.start))


SCORES = [
    (np.array([0, 1]), [[2.0, 1.0], [0.0, 3.0]], "cross_entropy", "accuracy", 1.0),
    (np.array([0, 1]), [[2.0, 1.0], [4.0, 3.0]], "cross_entropy", "accuracy", 0.5),
    (np.eye(2), [[0.2, 0.1], [0.9, 0.1]], "mse", "accuracy", 0.5),
    (np.array([[1.0], [-1.0]]), [[0.1], [-0.1]], "squared", "accuracy", 1.0),
    (np.array([[1.0], [0.0]]), [[0.6], [0.4]], "mse", "accuracy", 1.0),
    (np.array([[1.0], [0.0], [3.0]]), [[1.0], [0.0], [3.0]], "mse", "variance explained", 1.0),
]


@pytest.mark.parametrize(("targets", "outputs", "loss", "kind", "value"), SCORES)
def test_scores(targets, outputs, loss, kind, value):
    m, k = np.shape(outputs)
    problem = torch_problem(nn.Linear(3, k), np.ones((m, 3)), targets, loss)
    assert score_kind(problem) == kind
    assert score(problem, torch.tensor(outputs, dtype=torch.float64)) == pytest.approx(value)


# -- what is kept --


def counted(monkeypatch):
    """Count the steps that are really made."""
    from catapult_theory.networks.torch_problem import TorchProblem

    calls, gradient = [], TorchProblem.gradient
    monkeypatch.setattr(
        TorchProblem, "gradient", lambda self, point: calls.append(1) or gradient(self, point)
    )
    return calls


def test_a_repeated_probe_trains_nothing_and_says_the_same(monkeypatch):
    first = ct.probe(small, X, Y, "mse", seeds=1, steps=10, highest=2)
    calls = counted(monkeypatch)
    assert str(ct.probe(small, X, Y, "mse", seeds=1, steps=10, highest=2)) == str(first)
    assert len(calls) == 1  # the fingerprint
    for other in ({"steps": 11}, {"seeds": [5]}):
        calls.clear()
        ct.probe(small, X, Y, "mse", **{"seeds": 1, "steps": 10, "highest": 2, **other})
        assert len(calls) > 50


@pytest.mark.parametrize(
    "other",
    [lambda: ct.probe(small, X, 2 * Y, "mse", seeds=1, steps=10, highest=2),
     lambda: ct.probe(small, X, Y, "squared", seeds=1, steps=10, highest=2),
     lambda: ct.probe(lambda: small(nn.ReLU), X, Y, "mse", seeds=1, steps=10, highest=2)],
    ids=["data", "loss", "network"],
)  # fmt: skip
def test_another_problem_is_measured_anew(other, monkeypatch):
    ct.probe(small, X, Y, "mse", seeds=1, steps=10, highest=2)
    calls = counted(monkeypatch)
    other()
    assert len(calls) > 50


def test_a_damaged_file_is_measured_anew(tmp_path):
    def found():
        return str(ct.probe(small, X, Y, "mse", seeds=1, steps=10, highest=2))

    whole = found()
    files = list((tmp_path / "probes").iterdir())
    assert files
    for file in files:
        file.write_text(file.read_text()[:20])
    assert found() == whole


def test_an_interrupt_keeps_what_was_measured_and_the_next_call_goes_on(monkeypatch):
    from catapult_theory.validation.probing import measure

    whole, made = measure.trained, []

    def interrupted(*arguments):
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(1)
        return whole(*arguments)

    monkeypatch.setattr(measure, "trained", interrupted)
    part = ct.probe(small, X, Y, "mse", seeds=2, steps=10, highest=3)
    assert part.stopped == "interrupted"
    assert len(part.starts[0].runs) == 4
    assert part.starts[0].divergence is None
    assert "repeat the call" in str(part)
    monkeypatch.setattr(measure, "trained", whole)
    calls = counted(monkeypatch)
    done = ct.probe(small, X, Y, "mse", seeds=2, steps=10, highest=3)
    resumed = len(calls)
    assert done.stopped == "finished"
    assert done.starts[0].runs[0].losses == part.starts[0].runs[0].losses
    monkeypatch.setenv("CATAPULT_CACHE", str(measure.__file__) + ".none")
    monkeypatch.setattr("catapult_theory.validation.probing.store._write", lambda *_: None)
    calls.clear()
    ct.probe(small, X, Y, "mse", seeds=2, steps=10, highest=3)
    assert len(calls) > resumed + 20


def test_the_stream_of_random_numbers_and_the_network_stay_as_they_were():
    net = small()
    before = [p.clone() for p in net.parameters()]
    torch.manual_seed(9)
    wanted = torch.rand(3)
    torch.manual_seed(9)
    ct.probe(net, X, Y, "mse", steps=10, highest=2)
    ct.probe(small, X, Y, "mse", seeds=1, steps=10, highest=2)
    assert torch.equal(torch.rand(3), wanted)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))


# -- table, figure, data, command --


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATAPULT_CACHE", str(tmp_path_factory.mktemp("probes")))
        return ct.probe(small, X, Y, "mse", seeds=2, steps=20, accuracy=0.3, highest=4)


def test_the_table_says_predictions_measurements_and_advice(result):
    text = str(result)
    assert "the loss is 1 times" not in text
    assert "2/lambda" in text
    assert "in the paper about 12" in text
    lines = text.splitlines()
    assert lines[-1].startswith("advice: ")
    assert lines[-1].count("\n") == 0
    assert result.advice in lines[-1]


def test_the_data_hold_all_runs(result):
    data = result.to_dataset()
    assert data.sizes["run"] == sum(len(s.runs) for s in result.starts)
    assert data.sizes["start"] == 2
    assert data.attrs["advice"] == result.advice
    assert all("long_name" in v.attrs for v in data.data_vars.values())
    alive = data.isel(run=np.flatnonzero(~data.diverged.values))
    assert np.isfinite(alive.score).all()


def advised(*ranges):
    """The advice for starts that train in these ranges of eta alone, with curvature 1."""
    from catapult_theory.validation import Edge, ProbeResult, ProbeRun, StartProbe

    def start(first, last):
        rates = (0.5, 1.0, 2.0, 2.5, 3.0)
        runs = tuple(
            ProbeRun(r, r, 1.0, False, first <= r <= last, (1.0, 0.5), 1.0, 0.0) for r in rates
        )
        edge = Edge(last, last + 0.1) if first <= last else None
        kept = (1.0, 1.0, 1.0, 1e-9, 0.5, Edge(1.9, 2.0), Edge(4.0, 4.1), edge, runs)
        return StartProbe(0, *kept)

    starts = tuple(start(*pair) for pair in ranges)
    return ProbeResult(
        starts, "net", "mse", 1.0, "accuracy", 0.9, 10, 1, "finished"
    ).advice  # fmt: skip


@pytest.mark.parametrize(
    ("ranges", "words"),
    [([(0.5, 2.0)], "eta = 1.6, below the measured onset"),
     ([(0.5, 3.0), (1.0, 3.0)], "eta = 2.4, above the measured onset"),
     ([(0.5, 2.0), (2.0, 3.0)], "eta = 2, below"),
     ([(0.5, 1.0), (2.0, 3.0)], "no learning rate reached"),
     ([(0.5, 2.0), (3.0, 1.0)], "1 of 2 starts reached no accuracy 0.9")],
)  # fmt: skip
def test_the_advice_is_a_rate_that_trained_every_start(ranges, words):
    assert words in advised(*ranges)


def test_the_figure_names_no_divergence_where_there_was_none():
    found = ct.probe(small, X, Y, "mse", seeds=1, steps=10, highest=0.8)
    (legend,) = ct.probe_figure(found).legends
    assert "diverged" not in {text.get_text() for text in legend.get_texts()}


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_constant_targets_get_no_advice_that_cannot_be_followed(value):
    found = ct.probe(small, X, np.full((M, 2), value), "mse", seeds=1, steps=10, highest=2)
    assert "the targets are constant" in found.advice
    assert "give more steps" not in found.advice


def steep():
    """A network that is sure of every sample after a few steps, whatever the learning rate."""
    net = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2))
    with torch.no_grad():
        net[0].weight.mul_(50)
        net[2].weight.mul_(20)
    return net


def test_a_loss_that_is_flat_at_the_end_has_curvature_zero_and_the_table_says_so(tmp_path):
    found = ct.probe(steep, X, LABELS, "cross_entropy", seeds=2, steps=60, highest=40)
    runs = [run for start in found.starts for run in start.runs if not run.diverged]
    flat = [run for run in runs if run.eta_lam == 0]
    assert flat
    assert all(math.isnan(run.alignment) for run in flat)
    assert all(math.isfinite(run.eta_lam) for run in runs)
    text = str(found)
    assert "nan" not in text
    assert "flat to rounding" in text
    assert "aligned ?" in text


def test_a_loss_that_is_flat_at_the_start_is_refused():
    torch.manual_seed(0)
    net = steep().double()
    with torch.no_grad():
        net[2].weight.mul_(1e4)
        labels = net(torch.as_tensor(X)).argmax(1).numpy()
    with pytest.raises(InputError, match="flat there to rounding"):
        ct.probe(net, X, labels, "cross_entropy", steps=10)


def test_the_figure_has_its_panels(result, tmp_path):
    figure = ct.probe_figure(result)
    assert [axes.get_title() for axes in figure.axes] == [
        "the loss", "the curvature", "what is learned",
    ]  # fmt: skip
    (legend,) = figure.legends
    named = {text.get_text() for text in legend.get_texts()}
    assert {"trained, start 0", "trained, start 1"} <= named
    gone = any(run.diverged for start in result.starts for run in start.runs)
    assert ("diverged" in named) == gone
    figure.savefig(tmp_path / "probe.png")
    assert (tmp_path / "probe.png").stat().st_size > 10_000


NETWORKS_FILE = """
import numpy as np, torch
def make():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
ready = make()
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)), rng.normal(size=(6, 1))
number = 3
def missing():
    return {}["key"]
"""


@pytest.fixture
def catapult(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_networks.py").write_text(NETWORKS_FILE)
    (tmp_path / "my_broken.py").write_text("number = 3\ndef make(:\n    pass\n")
    (tmp_path / "my_failing.py").write_text("number = 3\nnumber / 0\n")
    np.savez(tmp_path / "mine.npz", X=X, y=RNG.normal(size=(M, 1)))
    before = set(sys.modules)

    def call(line):
        monkeypatch.setattr(sys, "argv", ["catapult", *line.split()])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    yield call
    for name in {"my_networks", "my_broken", "my_failing"} - before:
        sys.modules.pop(name, None)


SHORT = "--steps 10 --highest 2"


@pytest.mark.parametrize(
    "line",
    ["my_networks:make --data my_networks:data --seeds 1", "my_networks:ready --data mine.npz"],
)
def test_the_command_probes_a_network_by_its_name(line, catapult, tmp_path):
    code, out, _ = catapult(f"probe {line} {SHORT} --figure f.png --out runs.nc")
    assert code == 0
    assert "advice: " in out
    assert (tmp_path / "f.png").exists()
    assert (tmp_path / "runs.nc").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [("my_networks:number --data my_networks:data", "neither a torch.nn.Module"),
     ("os:path --data my_networks:data", "neither a torch.nn.Module"),
     ("my_networks:absent --data my_networks:data", "has no 'absent'"),
     ("no_such_file:make --data my_networks:data", "cannot import"),
     ("my_networks --data my_networks:data", "no module:name"),
     ("my_broken:make --data mine.npz", "SyntaxError: invalid syntax (my_broken.py, line 2)"),
     ("my_failing:make --data mine.npz", "ZeroDivisionError: division by zero (my_failing.py, "),
     ("my_networks:missing --data my_networks:data", "KeyError: 'key' (my_networks.py, line 11)"),
     ("my_networks:make --data my_networks:missing", "KeyError: 'key' (my_networks.py, line 11)"),
     ("my_networks:make --data nothing", "neither digits"),
     ("my_networks:make --data absent.npz", "no file"),
     ("my_networks:make --data my_networks:number", "pair"),
     ("my_networks:make --data my_networks:data --figure f.xyz", "figures are"),
     ("my_networks:make --data my_networks:data --out no/such/f.nc", "cannot write")],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_two(line, words, catapult):
    code, _, err = catapult(f"probe {line}")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_an_interrupted_command_prints_what_it_has_and_says_so(catapult, monkeypatch):
    from catapult_theory.validation.probing import measure

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "trained", interrupted)
    code, out, err = catapult(f"probe my_networks:make --data my_networks:data {SHORT}")
    assert code == 130
    assert "interrupted: repeat the call" in out
    assert "kept" in err


def test_progress_is_shown_on_a_console():
    import io

    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    ct.probe(small, X, Y, "mse", seeds=1, steps=10, highest=3, console=console)
    assert "eta lambda_0" in screen.getvalue()
    assert "at most" in screen.getvalue()


@pytest.mark.parametrize("function", [ct.probe, ct.probe_figure], ids=["probe", "probe_figure"])
def test_the_examples_of_the_public_functions_are_true(function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"ct": ct, function.__name__: function}
    text = function.__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(text, names, function.__name__, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
