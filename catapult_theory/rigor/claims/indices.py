"""Matrix and index notation as text: subscripts, transposes, sums over an index, dot products.

``f_alpha' = f_alpha - eta Theta_{alpha beta} ftilde_beta`` and ``W' = W - eta (S Z + Z G)`` are
cut into the tokens of plain claims and three more: an index, a transpose, a sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.token import Token

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "μ": "mu", "ν": "nu",
    "ρ": "rho", "σ": "sigma", "τ": "tau", "κ": "kappa", "λ": "lambda", "φ": "phi", "ψ": "psi",
    "χ": "chi", "ξ": "xi", "π": "pi", "θ": "theta",
}  # fmt: skip
LABELS = frozenset(GREEK.values())
MATRIX_FUNCTIONS = {
    "tr": "trace", "Tr": "trace", "trace": "trace", "transpose": "transpose", "norm": "norm",
    "dot": "dot",
}  # fmt: skip
MOST_LABELS = 4

_WORD = re.compile(r"[ληβωκΔΘℓζ]|[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_SUBSCRIPT = re.compile(r"_(?:\{([^{}]{1,40})\}|([α-ω]+|[A-Za-z]+))")
# A prime between a name and its indices: S'_{ij} is S_{ij}'.
_PRIMED = re.compile(r"['′’](?=_)")
_TRANSPOSE = re.compile(
    r"\.T\b|\s?(?:\^|\*\*)\s*(?:\{\s*T\s*\}|\(\s*T\s*\)|T(?![A-Za-z0-9])|⊤)|ᵀ|⊤"
)
_SUM = re.compile(r"(?:Σ|∑|\bsum(?=_))")
_TIME = {"t": False, "t+1": True, "next": True}


def labels_of(text: str, at: int) -> tuple[list[str], bool]:
    """Return the labels of a subscript, and whether it marks the value after the step.

    Examples
    --------
    >>> labels_of("alpha beta, t+1", 1)
    (['alpha', 'beta'], True)
    >>> labels_of("ij", 1)
    (['i', 'j'], False)
    """
    labels: list[str] = []
    after = False
    for piece in re.split(r"[,\s_]+", re.sub(r"\s*\+\s*", "+", text.strip())):
        if piece in _TIME:
            after |= _TIME[piece]
        elif piece in LABELS or re.fullmatch("[A-Za-z]", piece):
            labels.append(piece)
        elif piece in ("lambda", "eta", "omega") or not piece:
            labels += [piece] if piece else []
        elif all(c in GREEK for c in piece):
            labels += [GREEK[c] for c in piece]
        elif re.fullmatch("[A-Za-z]{2,4}", piece):
            labels += list(piece)
        else:
            raise ClaimError(
                f"the subscript {text.strip()[:20]!r} at position {at} is not read: letters such "
                "as i, alpha and the steps t, t+1 are; single entries such as W_{12} are not"
            )
    if len(labels) > MOST_LABELS:
        raise ClaimError(f"more than {MOST_LABELS} indices at position {at}")
    return labels, after


def sum_tokens(subscript: str, at: int) -> list[Token]:
    """Return the tokens of a sum over the indices of a subscript; steps are not summed over."""
    labels, over_steps = labels_of(subscript, at)
    if over_steps or not labels:
        raise ClaimError(
            f"the sum at position {at} lacks its index: write Σ_β, sum_beta or \\sum_\\beta"
        )
    return [Token("sum", f"i_{label}", at) for label in labels]


def index_token(labels: Sequence[str], at: int) -> Token:
    """Return the token of a subscript; labels get a prefix that no name has."""
    return Token("index", f"[{', '.join(f'i_{label}' for label in labels)}]", at)


def matrix_tokens(text: str, at: int, vocabulary: Any) -> tuple[list[Token], int] | None:
    """Return the tokens of matrix notation that start at a position, or None."""
    here = at + 1
    if match := _TRANSPOSE.match(text, at):
        return _transposed(text, match.end(), here)
    if text[at] == "@":
        return [Token("operator", "@", here)], here
    if text[at] in "·⋅∙":
        return [Token("operator", "//", here)], here
    if match := _SUM.match(text, at):
        index = _SUBSCRIPT.match(text, match.end())
        subscript = (index.group(1) or index.group(2)) if index else ""
        return sum_tokens(subscript, here), index.end() if index else match.end()
    if match := _WORD.match(text, at):
        return _name(text, match, vocabulary)
    return None


def _transposed(text: str, end: int, here: int) -> tuple[list[Token], int]:
    """Return a transpose with the step that may follow it: f^T_{t+1}."""
    tokens = [Token("transpose", "T", here)]
    if step := _SUBSCRIPT.match(text, end):
        labels, after = labels_of(step.group(1) or step.group(2), end + 1)
        if not labels:
            return ([Token("prime", "'", here)] if after else []) + tokens, step.end()
    return tokens, end


def _name(text: str, match: re.Match[str], vocabulary: Any) -> tuple[list[Token], int] | None:
    """Return a name with its indices and marks of time; None for what plain claims read alike."""
    word, end, here = match.group(), match.end(), match.start() + 1
    if word in MATRIX_FUNCTIONS and not vocabulary.knows(word):
        return [Token("function", MATRIX_FUNCTIONS[word], here)], end
    tilde = text[end : end + 1] == "\u0303"
    if tilde and word == "f":
        word, end = "ftilde", end + 1
    stem, rest = split_name(word, vocabulary)
    if stem is None:
        return _product(text, match, vocabulary)
    labels, after = labels_of(rest, here) if rest else ([], False)
    tokens = [Token("name", vocabulary.canonical(stem, here), here)]
    if prime := _PRIMED.match(text, end):
        after, end = True, prime.end()
    while index := _SUBSCRIPT.match(text, end):
        more, later = labels_of(index.group(1) or index.group(2), end + 1)
        labels, after, end = labels + more, after or later, index.end()
    if after:
        tokens.append(Token("prime", "'", here))
    if labels:
        tokens.append(index_token(labels, here))
    if not (after or labels or tilde or stem == "ζ"):
        return None
    return tokens, end


def split_name(word: str, vocabulary: Any) -> tuple[str | None, str]:
    """Return the longest part of a word that is a name, and the subscript after it."""
    pieces = word.split("_")
    for count in range(len(pieces), 0, -1):
        stem = "_".join(pieces[:count])
        if vocabulary.knows(stem):
            return stem, "_".join(pieces[count:])
    return None, ""


def _product(text: str, match: re.Match[str], vocabulary: Any) -> tuple[list[Token], int] | None:
    """Return a product of scalars written as one word below a fraction bar: 1/nm."""
    word, here = match.group(), match.start() + 1
    below = text[: match.start()].rstrip().endswith("/")
    scalars = {*vocabulary.sizes, "n"}
    if not below or not (1 < len(word) <= 3 and all(c in scalars for c in word)):
        return None
    tokens = [Token("open", "(", here)]
    for offset, letter in enumerate(word):
        tokens += [Token("operator", "*", here)] if offset else []
        tokens.append(Token("name", letter, here + offset))
    return [*tokens, Token("close", ")", here)], match.end()


def check_arguments(tokens: Sequence[Token]) -> None:
    """Refuse f(x), the output for a sample, which would be read as a product.

    Raises
    ------
    ClaimError
        With the position and what to write instead.
    """
    marks = ("index", "prime", "transpose")
    plain = [t for t in tokens if t.kind not in marks]
    for four in zip(plain, plain[1:], plain[2:], plain[3:], strict=False):
        if [t.kind for t in four] != ["name", "open", "name", "close"]:
            continue
        if four[0].text == "f" and four[2].text == "X":
            raise ClaimError(
                f"f(x) at position {four[0].at} is not read as the output for a sample: write "
                "f_{alpha}, or f_{alpha i} with several outputs"
            )


def with_sums(tokens: Iterable[Token]) -> list[Token]:
    """Return the tokens with each sum turned into a function around the term that it sums."""
    out: list[Token] = []
    open_sums: list[int] = []  # the depth at which each sum began
    depth = 0
    last = ""
    for token in tokens:
        ends = token.kind in ("relation", "comma", "close") or (
            token.kind == "operator" and token.text in "+-" and last != "sum"
        )
        while ends and open_sums and open_sums[-1] == depth:
            out.append(Token("close", ")", token.at))
            open_sums.pop()
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        last = token.kind
        if token.kind != "sum":
            out.append(token)
            continue
        out += [Token("function", "total", token.at), Token("open", "(", token.at)]
        out += [Token("name", token.text, token.at), Token("comma", ",", token.at)]
        open_sums.append(depth)
    return out + [Token("close", ")", out[-1].at) for _ in open_sums]
