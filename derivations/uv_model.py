# %% [markdown]
# # The $uv$-model: lazy, catapult, divergent
#
# The smallest network that shows the catapult has one hidden layer, linear units and one sample
# $x=1$ with label $0$:
#
# $$f=\frac{u\cdot v}{\sqrt n},\qquad L=\frac{f^2}{2},\qquad u,v\in\mathbb{R}^n.$$
#
# Its tangent kernel is $\lambda=(|u|^2+|v|^2)/n$. We write down the output alone.

# %%
import numpy as np

import catapult_theory as ct
from catapult_theory.symbolic.invariants import invariant_factors

u, v = ct.vectors("u v")
model = ct.Model(output=u @ v / ct.sqrt(ct.n), vectors=(u, v), name="uv")
uv = ct.derive(model)
print(uv.derivation())

# %% [markdown]
# So the two numbers $f$ and $\lambda$ obey, at every width $n$ and without any approximation,

# %%
print(f"$${uv.latex()}$$")

# %% [markdown]
# ## Infinite width, and what it misses
#
# At fixed $f$ and $n\to\infty$ only the linear dynamics of the tangent kernel is left: the kernel
# does not move, and training converges for $\eta\lambda<2$.

# %%
print(f"$${uv.truncate().latex()}$$")

# %% [markdown]
# That limit is blind to what happens once $f$ has grown to the order of $\sqrt n$, which it does
# whenever $\eta\lambda>2$. The width and the learning rate scale out of the equations; the engine
# finds the two groups from the scaling symmetries, and no parameter is left:

# %%
small = uv.dimensionless()
print(f"$${small.latex()}$$")

# %% [markdown]
# ## The catapult
#
# For $2<a_0<4$ the output grows, and as $a-4<0$ the curvature $a=\eta\lambda$ falls by
# $b\,(4-a)$ at every step, until it is below $2$ and the loss converges, at a *smaller* curvature
# than at the start. For $a_0>4$ the same term makes the curvature grow, and training diverges
# unless the output hits zero exactly. That the curvature never grows below $4$ can be put as a
# claim, and so can the bolder one that it never grows below $5$:

# %%
falls = ct.verify("lam' <= lam", model, where="eta*lam < 4")
print(falls)
false = ct.verify("lam' <= lam", model, where="eta*lam < 5")
print(false)

# %% [markdown]
# The threshold $4$ is exact at every width, since $w=a-4$ is an invariant factor: with
# $q=\eta f/\sqrt n$ the step multiplies it by $1+q^2>0$, so that its sign never changes.

# %%
for factor in invariant_factors(uv):
    print(factor)
bounds = ct.phase_bounds(uv)
print(f"eta_crit = {bounds.eta_crit.expr}, eta_max = {bounds.eta_max.expr}")

# %% [markdown]
# Three runs at width 4096 from $f=1$, $\lambda=2$:

# %%
rates = np.array([0.5, 1.5, 2.25])
runs = ct.run(uv, {"f": 1.0, "lam": 2.0}, steps=2000, n=4096.0, **ct.grid(eta=rates))
for eta_value, behaviour in zip(rates, ct.classify(runs).values, strict=True):
    one = runs.sel(eta=eta_value)
    start = f"eta*lam_0 = {2 * eta_value:.1f}: {behaviour}"
    ended = f", largest loss {one.peak_loss:.3g}, lam/lam_0 = {one.lam / 2:.4f} at the end"
    print(start + (ended if behaviour != "divergent" else ""))

# %% [markdown]
# ## Checks
#
# The equations written by hand; the network itself, of width 5, trained on its ten numbers; and
# the sum rule $\sum_t b_t(4-a_t)=a_0-a_\infty$. Each has a control that must fail.

# %%
eta, n, f, lam = (ct.symbol(s) for s in ("eta", "n", "f", "lam"))
hand = {
    f: f * (1 - eta * lam + eta**2 * f**2 / n),
    lam: lam + eta * f**2 / n * (eta * lam - 4),
}
for symbol, expression in hand.items():
    assert (uv.updates[symbol] - expression).expand() == 0
    assert (uv.updates[symbol] - expression.subs(n, 2 * n)).expand() != 0
a, b = sorted(small.updates, key=str)
assert (small.updates[a] - (a + b * (a - 4))).expand() == 0
assert (small.updates[b] - b * (1 - a + b) ** 2).expand() == 0

rng = np.random.default_rng(1)
left, right = rng.normal(size=(2, 5))
rate = 3 * 5 / (left @ left + right @ right)  # eta * lam_0 = 3, a catapult
kernel = ct.compile(uv, "array")
state = wrong = start = (left @ right / np.sqrt(5), (left @ left + right @ right) / 5)
errors, controls = [], []
for _ in range(30):
    push = rate * (left @ right) / 5
    left, right = left - push * right, right - push * left
    network = np.array([left @ right / np.sqrt(5), (left @ left + right @ right) / 5])
    state = kernel.step(*state, eta=rate, n=5)
    wrong = kernel.step(*wrong, eta=rate, n=5.1)
    errors.append(np.abs(network - state).max() / start[1])
    controls.append(np.abs(network - wrong).max() / start[1])
assert max(errors) < 1e-12
assert max(controls) > 1e-3

orbit = ct.trajectory(uv, {"f": 1.0, "lam": 2.0}, steps=200, eta=1.5, n=4096.0)
a_t, b_t = 1.5 * orbit.lam, 1.5**2 * orbit.f**2 / 4096
assert abs(float((b_t * (4 - a_t))[:-1].sum() - (a_t[0] - a_t[-1]))) < 1e-13
assert abs(float((b_t * (3.9 - a_t))[:-1].sum() - (a_t[0] - a_t[-1]))) > 1e-2

assert falls.status == "holds-under-hypotheses"
assert false.status == "fails"
assert bounds.eta_crit.expr == 2 / lam
assert bounds.eta_max.expr == 4 / lam
assert list(ct.classify(runs).values) == ["lazy", "catapult", "divergent"]
print("every check passed")
