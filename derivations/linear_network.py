# %% [markdown]
# # The two-layer linear network, any data, any number of outputs
#
# $$f(x)=\frac{VUx}{\sqrt n},\qquad U\in\mathbb{R}^{n\times d},\quad V\in\mathbb{R}^{k\times n},$$
#
# trained on $m$ samples, the rows of $X\in\mathbb{R}^{m\times d}$. The output depends on the
# parameters through three blocks of the Gram matrix, $W$ ($k\times d$), $G$ ($d\times d$) and $S$
# ($k\times k$), and the engine keeps them as matrices. The output gradient $g$ stays opaque, so
# that one derivation serves every loss.

# %%
import numpy as np

import catapult_theory as ct

V, U, X = ct.matrix("V", rows=2), ct.matrix("U", cols=3), ct.data("X")
model = ct.Model(
    output=X @ U.T @ V.T / ct.sqrt(ct.n),
    matrices=(V, U),
    data=X,
    observables={
        "W": V @ U / ct.sqrt(ct.n),
        "G": U.T @ U / ct.n,
        "S": V @ V.T / ct.n,
    },
    name="linear",
)
linear = ct.derive(model)
print(linear.derivation())
print(f"$${linear.latex()}$$")

# %% [markdown]
# With softmax and cross-entropy only the definition of $g$ changes:

# %%
softmax = ct.derive(model, loss="softmax_cross_entropy")
print(f"$${softmax.latex()}$$")

# %% [markdown]
# ## Back to the paper's pair of equations
#
# For one output and the squared loss the paper follows, in sample space, the outputs $f_\alpha$ and
# the kernel $\Theta_{\alpha\beta}$. With $\tilde f=f-y$ and
# $\zeta=\frac1m\sum_\alpha\tilde f_\alpha x_\alpha$, and $\Theta$ divided by $m$,
#
# $$f_\alpha'=f_\alpha-\eta\,\Theta_{\alpha\beta}\tilde f_\beta
# +\frac{\eta^2}{nm}(x_\alpha\cdot\zeta)(f^T\tilde f),$$
#
# $$\Theta_{\alpha\beta}'=\Theta_{\alpha\beta}-\frac{\eta}{nm}\left[(x_\alpha\cdot\zeta)f_\beta
# +(x_\beta\cdot\zeta)f_\alpha+\frac2m(x_\alpha\cdot x_\beta)(f^T\tilde f)\right]
# +\frac{\eta^2}{n^2m}\left[|v|^2(x_\alpha\cdot\zeta)(x_\beta\cdot\zeta)
# +(\zeta^Tu^Tu\,\zeta)(x_\alpha\cdot x_\beta)\right].$$
#
# These are the derived equations in another basis: $f=XW^T$ and
# $\Theta=(S\,XX^T+XGX^T)/m$. A step of the derived map, carried over to sample space, is a step of
# the paper's.

# %%
rng = np.random.default_rng(3)
samples, inputs, width, eta = 4, 3, 6, 0.4
data = rng.normal(size=(samples, inputs))
target = rng.normal(size=(samples, 1))
u_start, v_start = rng.normal(size=(width, inputs)), rng.normal(size=(1, width))
one = ct.derive(ct.models.linear(inputs=inputs))
step = ct.compile(one, "array").step
W = v_start @ u_start / np.sqrt(width)
G, S = u_start.T @ u_start / width, v_start @ v_start.T / width


def kernel_of(G, S):
    return (S.item() * data @ data.T + data @ G @ data.T) / samples


def paper(f, theta, coefficient=2.0):
    """One step of the paper's equations; ``coefficient`` stands before (x.x)(f.f~)/m."""
    residual = f - target[:, 0]
    zeta = residual @ data / samples
    along, gram = data @ zeta, data @ data.T
    both = f @ residual
    first = np.outer(along, f) + np.outer(f, along) + coefficient / samples * gram * both
    v_square = (v_start @ v_start.T).item()
    second = v_square * np.outer(along, along) + (zeta @ u_start.T @ u_start @ zeta) * gram
    scale = eta / (width * samples)
    new_f = f - eta * theta @ residual + eta * scale * along * both
    new_theta = theta - scale * first + eta * scale / width * second
    return new_f, new_theta


after = step(W, G, S, eta=eta, n=width, X=data, Y=target)
f_new, theta_new = (data @ after.W.T)[:, 0], kernel_of(after.G, after.S)
f_paper, theta_paper = paper((data @ W.T)[:, 0], kernel_of(G, S))
print(f"outputs differ by {np.abs(f_new - f_paper).max():.1e}")
print(f"kernels differ by {np.abs(theta_new - theta_paper).max():.1e}")

# %% [markdown]
# ## Against the network, two outputs and softmax
#
# Width 6, three inputs, two classes, trained on its thirty numbers.

# %%
labels = np.eye(2)[[0, 1, 1, 0]]
u_now, v_now = u_start.copy(), rng.normal(size=(2, width))
soft_step = ct.compile(softmax, "array").step
state = (v_now @ u_now / np.sqrt(width), u_now.T @ u_now / width, v_now @ v_now.T / width)
for _ in range(50):
    scores = data @ u_now.T @ v_now.T / np.sqrt(width)
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    gradient = (chances / chances.sum(axis=1, keepdims=True) - labels) / samples
    u_now, v_now = (
        u_now - eta * v_now.T @ gradient.T @ data / np.sqrt(width),
        v_now - eta * gradient.T @ data @ u_now.T / np.sqrt(width),
    )
    state = soft_step(*state, eta=eta, n=width, X=data, Y=labels)
network = (v_now @ u_now / np.sqrt(width), u_now.T @ u_now / width, v_now @ v_now.T / width)
worst = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(state, network, strict=True))
print(f"50 steps: largest difference {worst:.1e}")

# %% [markdown]
# ## Checks
#
# The three updates written by hand as matrices of numbers; the paper's pair; the network. A
# changed coefficient must fail each.

# %%
Z = (data @ W.T - target).T @ data / samples


def by_hand(two=1.0):
    new_w = W - eta * (S @ Z + Z @ G) + eta**2 / width * Z @ W.T @ Z
    new_g = G - eta / width * two * (W.T @ Z + Z.T @ W) + eta**2 / width * Z.T @ S @ Z
    new_s = S - eta / width * two * (Z @ W.T + W @ Z.T) + eta**2 / width * Z @ G @ Z.T
    return new_w, new_g, new_s


for derived, hand, wrong in zip(after, by_hand(), by_hand(two=1.01), strict=True):
    assert np.abs(derived - hand).max() < 1e-14
    assert derived.shape == (1, inputs) or np.abs(derived - wrong).max() > 1e-6
assert np.abs(f_new - f_paper).max() < 1e-14
assert np.abs(theta_new - theta_paper).max() < 1e-14
changed = paper((data @ W.T)[:, 0], kernel_of(G, S), coefficient=1.0)[1]
assert np.abs(theta_new - changed).max() > 1e-6
assert worst < 1e-12
plain = [ct.derive(ct.models.linear(inputs=3, outputs=2)).updates[s] for s in linear.variables]
assert plain == list(linear.updates.values()), "a model of one's own and the zoo's agree"
print("every check passed")
