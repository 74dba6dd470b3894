# %% [markdown]
# # The $uv$-model with a label, and its exact edge
#
# With a label $y$ the output gradient is $g=f-y$. The same two numbers close:

# %%
import numpy as np
import sympy as sp

import catapult_theory as ct
from catapult_theory.symbolic.invariants import invariant_factors
from catapult_theory.symbolic.update_map import tex as latex

labelled = ct.derive(ct.models.uv(label=True))
print(f"$${labelled.latex()}$$")

# %% [markdown]
# A label brings one dimensionless group more: $\kappa=\eta y/\sqrt n$. It cannot be scaled away.

# %%
small = labelled.dimensionless()
print(f"$${small.latex()}$$")

# %% [markdown]
# ## Lines that the dynamics cannot cross
#
# The engine looks for factors $w$, affine in the state, that the step multiplies: $w'=c\,w$. Where
# $c>0$, the sign of $w$ never changes.

# %%
factors = invariant_factors(labelled)
for factor in factors:
    print(factor)
edge = next(x for x in factors if x.kind == "edge")

# %% [markdown]
# The *domain* lines say that $a\pm2q\ge0$, which is the inequality of Cauchy and Schwarz
# $|f|\le\sqrt n\,\lambda/2$. The *minimum* line is where the network fits its label. The *edge*
# parts the starting points by their learning rate. With the residual $p=\eta(f-y)/\sqrt n$ it is
#
# $$w=a-4-\kappa p,\qquad w_{t+1}=w_t\,(1+\kappa p+p^2),$$
#
# and for $\kappa<2$ the multiplier is positive: its discriminant $\kappa^2-4$ is negative.
#
# **Theorem (the edge).** Let $0\le\kappa<2$. If $w_0\le0$, then $|p_t|\le2$ and
# $0\le a_t\le4+2\kappa$ for ever. If $w_0>0$, then $a_t\to\infty$, unless the output hits the label
# exactly. (For $y<0$ replace $u$ by $-u$.)
#
# Solved for the learning rate this is the largest one at which training stays bounded, at any
# width and from any start, as long as $\kappa<2$ there:

# %%
bounds = ct.phase_bounds(labelled)
print(f"$$\\eta_{{\\max}} = {latex(bounds.eta_max.expr)}$$")
print(bounds.eta_max)

# %% [markdown]
# Two limits: without a label it is $4/\lambda$; and as $n\to\infty$ at fixed $y$ the label drops
# out. At finite width a label $y>0$ that $f$ has yet to reach lowers the edge; one that $f$ has
# overshot raises it.
#
# ## Stability is another matter
#
# A bounded run need not converge. Minima with zero loss need $\lambda\ge2|y|/\sqrt n$ and are
# stable only for $\eta\lambda<2$, so that none is left when $|\kappa|>1$: below the edge training
# then ends in a cycle or in chaos, bounded all the same.

# %%
print(bounds.eta_stable)

# %% [markdown]
# ## Networks just below and just above
#
# A hundred networks of width 7 with a strong label, trained by brute force on their fourteen
# numbers at $0.5\,\%$ below and above the edge.


# %%
def trained(left, right, label, rate, steps=4000):
    """Return the largest tangent kernel times the learning rate along each run."""
    width = left.shape[-1]
    rate = np.broadcast_to(rate, len(left))
    largest = rate * np.sum(left**2 + right**2, axis=1) / width
    for _ in range(steps):
        on = largest < 1e6  # a run that has run away is left where it is
        a, b = left[on], right[on]
        residual = np.sum(a * b, axis=1) / np.sqrt(width) - label
        push = (rate[on] * residual / np.sqrt(width))[:, None]
        left[on], right[on] = a - push * b, b - push * a
        curvature = rate * np.sum(left**2 + right**2, axis=1) / width
        largest = np.maximum(largest, curvature)
    return largest


rng = np.random.default_rng(2)
left, right = rng.normal(size=(2, 100, 7))
label = 1.5
at_start = {
    "f": np.sum(left * right, axis=1) / np.sqrt(7),
    "lam": np.sum(left**2 + right**2, axis=1) / 7,
    "y": label,
    "n": 7,
}
eta_max = bounds.eta_max(**at_start)
unlabelled = 4 / at_start["lam"]
kappa = eta_max * label / np.sqrt(7)
below = trained(left.copy(), right.copy(), label, 0.995 * eta_max)
above = trained(left.copy(), right.copy(), label, 1.005 * eta_max)
print(f"kappa at the edge: {kappa.min():.2f} to {kappa.max():.2f}")
print(f"edge over 4/lam: {(eta_max / unlabelled).min():.3f} to {(eta_max / unlabelled).max():.3f}")
print(f"0.5 % below: {np.sum(below < 1e6)} of 100 bounded, largest eta*lam {below.max():.3f}")
print(f"0.5 % above: {np.sum(above > 1e6)} of 100 run away")

# %% [markdown]
# ## Checks

# %%
eta, n, f, lam, y = (ct.symbol(s) for s in ("eta", "n", "f", "lam", "y"))
g = f - y
hand = {
    f: f - eta * lam * g + eta**2 / n * g**2 * f,
    lam: lam - 4 * eta / n * g * f + eta**2 / n * g**2 * lam,
}
for symbol, expression in hand.items():
    assert (labelled.updates[symbol] - expression).expand() == 0
    assert (labelled.updates[symbol] - expression.subs(y, 0)).expand() != 0

# the factor, from the two updates alone, in the original symbols
residual, kappa_symbol = eta * (f - y) / sp.sqrt(n), eta * y / sp.sqrt(n)
w = eta * lam - 4 - kappa_symbol * residual
after = w.subs({f: hand[f], lam: hand[lam]}, simultaneous=True)
multiplier = 1 + kappa_symbol * residual + residual**2
assert sp.expand(after - w * multiplier) == 0
assert sp.expand(after - w * (1 + residual**2)) != 0
assert sp.expand(edge.physical - w) == 0

closed = 8 / (lam + sp.sqrt(lam**2 + 16 * y * (y - f) / n))
assert sp.simplify(bounds.eta_max.expr - closed) == 0
assert sp.simplify(closed.subs(y, 0) - 4 / lam) == 0
assert np.all(kappa < 2), "the theorem is stated for kappa below 2"
assert np.all(below <= 4 + 2 * 0.995 * kappa + 1e-9)
assert np.all(above > 1e6)
# the control: the edge without its label puts runs on the wrong side
assert np.any((unlabelled > 1.005 * eta_max) | (unlabelled < 0.995 * eta_max))
print("every check passed")
