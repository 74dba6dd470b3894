# %% [markdown]
# # The closure theorem
#
# A layer of width $n$ has its parameters in a *frame* $\Phi\in\mathbb{R}^{n\times p}$, one column
# for each trained vector. Let the loss depend on the frame only through the Gram matrix
# $\Gamma=\Phi^T\Phi/n$, so that $L(\Phi)=\ell(\Gamma)$.
#
# **Theorem.** Gradient descent acts on the frame from the right, and the dynamics of $\Gamma$ is
# closed and exact at every width:
#
# $$\Phi_{t+1}=\Phi_t M,\qquad M=I-\frac{2\eta}{n}D,\qquad \Gamma_{t+1}=M^T\,\Gamma_t\,M,$$
#
# where $D$ is the symmetric gradient: $\partial\ell/\partial\Gamma_{ij}$ on the diagonal and half
# of it off the diagonal.
#
# **Proof.** $d\ell=\operatorname{tr}(D\,d\Gamma)$ and
# $d\Gamma=(d\Phi^T\Phi+\Phi^T d\Phi)/n$. As $D$ is symmetric, both terms are equal, so that
# $dL=\frac{2}{n}\operatorname{tr}(D\Phi^T d\Phi)$, which says $\nabla_\Phi L=\frac{2}{n}\Phi D$.
# A step is $\Phi-\eta\nabla_\Phi L=\Phi M$, and $\Gamma$ of that is $M^T\Gamma M$. $\square$
#
# The width is now a number in an equation for $p\times p$ matrices. A step costs the same at
# $n=10$ and at $n=10^{12}$.

# %% [markdown]
# ## A network that nobody chose for its beauty
#
# Three vectors, and an output that is a product of their inner products. We write it down; the
# engine differentiates it, maps the Gram matrix, and looks for the smallest set of invariants that
# is mapped to itself and contains the output.

# %%
import numpy as np
import sympy as sp

import catapult_theory as ct

u, v, w = ct.vectors("u v w")
output = (u @ v) * (w @ w) / ct.n ** sp.Rational(3, 2)
model = ct.Model(output=output, vectors=(u, v, w), label=1, name="three vectors")
three = ct.derive(model)
print(three.derivation())

# %% [markdown]
# ## Against the network itself
#
# A network of width 3 is trained by brute force. Its gradient comes from neither the theorem nor
# the engine: each of the nine parameters is moved by $10^{-30}i$, and the imaginary part of the
# loss is read (the complex step, which has no cancellation).


# %%
WIDTH, ETA = 3, 0.07


def loss_of(phi):
    a, b, c = phi
    f = (a @ b) * (c @ c) / WIDTH**1.5
    return (f - 1) ** 2 / 2


def gradient_of(phi):
    gradient = np.zeros(phi.shape)
    for index in np.ndindex(phi.shape):
        moved = phi.astype(complex)
        moved[index] += 1e-30j
        gradient[index] = loss_of(moved).imag / 1e-30
    return gradient


def state_of(phi):
    return three.state_from_gram(phi @ phi.T / WIDTH, WIDTH)


rng = np.random.default_rng(0)
phi = rng.normal(size=(3, WIDTH))
kernel = ct.compile(three, "array")
theory = state_of(phi)
worst = 0.0
for _ in range(25):
    phi = phi - ETA * gradient_of(phi)
    stepped = kernel.step(*theory.values(), eta=ETA, n=WIDTH)
    theory = dict(zip(theory, stepped, strict=True))
    network = state_of(phi)
    worst = max(worst, *(abs(theory[k] - network[k]) / (1 + abs(network[k])) for k in network))
print(f"{len(theory)} invariants, 25 steps, largest difference {worst:.1e}")

# %% [markdown]
# ## Weight decay and momentum
#
# Weight decay multiplies the frame by $1-\eta\omega$ in the same step. With momentum the frame
# grows to $[\Phi,P]$, the velocities beside the parameters, and the Gram matrix to $2p\times 2p$.
# Of its 10 entries for two vectors, the engine keeps 6 invariants: the output, the tangent kernel,
# and four that involve the velocity.

# %%
pair = ct.Model(output=u @ v / ct.sqrt(ct.n), vectors=(u, v), name="two vectors")
decay = ct.derive(pair, optimizer="weight_decay")
momentum = ct.derive(pair, optimizer="heavy_ball")
print(f"$${decay.latex()}$$")
print(momentum)

# %% [markdown]
# ## What does not close
#
# A pointwise nonlinearity leaves the inner products, and so does an optimizer that acts on each
# coordinate by itself. The engine says which quantity is the first to leave.

# %%
refused = []
for title, attempt in {
    "a ReLU unit": lambda: ct.derive(
        ct.Model(output=v @ ct.relu(u) / ct.sqrt(ct.n), vectors=(u, v), name="relu")
    ),
    "Adam": lambda: ct.derive(pair, optimizer="adam"),
}.items():
    try:
        attempt()
    except ct.NotClosed as error:
        refused.append(error.term)
        print(f"{title}: the first term that leaves is {error.term}")

# %% [markdown]
# ## Checks
#
# The equations of two vectors under weight decay, written by hand: the frame is multiplied by
# $M$ with $1-\eta\omega$ on the diagonal and $-\eta f/\sqrt n$ beside it. A wrong factor (the
# step without the $2$ of $2\eta/n$) must be noticed.

# %%
eta, n, omega, f, lam = (ct.symbol(s) for s in ("eta", "n", "omega", "f", "lam"))
keep, mix = 1 - eta * omega, eta * f / ct.sqrt(n)
hand = {
    f: (keep**2 + mix**2) * f - keep * mix * lam * ct.sqrt(n),
    lam: (keep**2 + mix**2) * lam - 4 * keep * mix * f / ct.sqrt(n),
}
for symbol, expression in hand.items():
    assert (decay.updates[symbol] - expression).expand() == 0
    assert (decay.updates[symbol] - expression.subs(eta, eta / 2)).expand() != 0

assert worst < 1e-12, "25 steps at width 3: a few hundred roundings of size 1e-16"
assert len(momentum.variables) == 6
assert refused == ["<relu(u),v>", "grad_i^2"]
print("every check passed")
