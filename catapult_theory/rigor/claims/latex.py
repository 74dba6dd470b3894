r"""Claims as LaTeX, in the notation of the paper, read into the tokens of plain text.

``f_{t+1} = \left(1 - \eta\lambda_t + \frac{\eta^2 f_t^2}{n}\right) f_t`` becomes the same
tokens as ``f' = (1 - eta*lam + ((eta**2*f**2)/(n)))*f``; everything after that is shared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims import size as limits
from catapult_theory.rigor.claims.indices import LABELS, index_token, labels_of, sum_tokens
from catapult_theory.rigor.claims.text import (
    FUNCTIONS,
    bar_tokens,
    number_text,
    tokens_of,
)
from catapult_theory.rigor.claims.token import Token, Words

_LEX = re.compile(
    r"(?P<skip>\s+|~|&|\$+|\\[,;:!> ]|\\(?:left|right|quad|qquad|displaystyle|limits|nonumber"
    r"|[bB]igg?[lrm]?|middle|label\{[^{}]*\}|tag\{[^{}]*\}|(?:begin|end)\{[a-z]+\*?\})(?![A-Za-z])"
    r"|\\[\[\]()]|[.,;](?=\s*(?:\$|\\\]|\\end\b|\\\))))|(?P<row>\\\\)|(?P<command>\\(?:[A-Za-z]+|[|{}]))"
    r"|(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<letters>[A-Za-z]+)|(?P<sign>.)",
    re.DOTALL,
)
_END = re.compile(r"(?:\\[,;:!> \\\])]|[\s$.,;]|\\end\{[a-z]+\*?\})*$")
_GREEK = {
    "eta": "eta", "lambda": "lam", "beta": "beta", "omega": "omega", "kappa": "kappa",
    "Delta": "Delta", "Theta": "Theta", "ell": "loss", "zeta": "zeta",
}  # fmt: skip
_SIGNS = {
    "cdot": "*", "times": "*", "ast": "*", "le": "<=", "leq": "<=", "leqslant": "<=", "lt": "<",
    "ge": ">=", "geq": ">=", "geqslant": ">=", "gt": ">",
}  # fmt: skip
_BRACKETS = {"lbrace": "(", "rbrace": ")", "{": "(", "}": ")", "lbrack": "(", "rbrack": ")"}
_BARS = ("vert", "lvert", "rvert", "|", "Vert", "lVert", "rVert")
_FRACTIONS = ("frac", "dfrac", "tfrac", "cfrac")
_WORDS = ("text", "mathrm", "operatorname", "mathit", "textit", "textrm")
_TRACES = ("tr", "Tr", "trace")
_FACES = ("mathcal", "mathbf", "boldsymbol", "mathsf", "bm", "vec", "mathbb")
_TRANSPOSES = (["T"], ["top"], ["intercal"])
_FACES_OF_T = ("mathsf", "mathrm", "rm", "sf", "text", "(", ")")
_TILDES = ("tilde", "widetilde")
_RELATION = ("=", "<", ">", "≤", "≥")


def is_latex(text: str) -> bool:
    """Return whether a text is read as LaTeX: it holds a backslash or a dollar sign."""
    return "\\" in text or "$" in text


def tokens_in(text: str, vocabulary: Words) -> list[Token]:
    """Cut a text, plain or LaTeX, into tokens; implied products are not yet put in.

    Raises
    ------
    ClaimError
        With the position of what cannot be read.
    """
    if is_latex(text):
        return latex_tokens(text, vocabulary)
    return tokens_of(text, vocabulary)


@dataclass(frozen=True)
class _Piece:
    kind: str
    text: str
    at: int
    spaced: bool = False


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    spaced = False
    for match in _LEX.finditer(_END.sub("", text)):
        kind, at = str(match.lastgroup), match.start() + 1
        if kind == "skip":
            spaced = True
            continue
        if kind == "row":
            raise ClaimError(f"a second row begins at position {at}: verify one equation at a time")
        content = match.group()[1:] if kind == "command" else match.group()
        pieces.append(_Piece(kind, content, at, spaced))
        spaced = False
        if len(pieces) > 2 * limits.TOKENS:
            raise ClaimError(f"the claim has more than {limits.TOKENS} tokens: shorten it")
    return pieces


def latex_tokens(text: str, vocabulary: Words) -> list[Token]:
    r"""Cut LaTeX into the tokens of plain text.

    Parameters
    ----------
    text : str
        Names are single letters, Greek commands, ``\tilde f`` (the residual g) and words in
        ``\text{...}``; a subscript is t or t+1.
    vocabulary : Vocabulary or MatrixVocabulary

    Raises
    ------
    ClaimError
        With the position of the first thing that cannot be read.
    """
    reader = _Reader(_pieces(text), vocabulary)
    tokens = reader.sequence(0)
    if len(tokens) > limits.TOKENS:
        raise ClaimError(f"the claim has more than {limits.TOKENS} tokens: shorten it")
    return tokens


class _Reader:
    """Recursive descent over the pieces; each method returns tokens and moves on."""

    def __init__(self, pieces: Sequence[_Piece], vocabulary: Words) -> None:
        self._pieces = pieces
        self._vocabulary = vocabulary
        self._next = 0

    def sequence(self, depth: int, closing: str = "") -> list[Token]:
        """Read up to the closing brace of a group, or to the end of the text."""
        if depth > limits.DEPTH:
            raise ClaimError(f"groups nested deeper than {limits.DEPTH}")
        out: list[Token] = []
        bars: list[int] = []
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            if piece.text == "}" and piece.kind == "sign":
                if not closing:
                    raise ClaimError(f"the brace at position {piece.at} opens nowhere")
                self._next += 1
                return out
            self._next += 1
            if piece.text in ("|", *_BARS) and piece.kind in ("sign", "command"):
                out += bar_tokens(out, bars, piece.at)
                continue
            new = self._atom(piece, depth)
            out += [replace(new[0], spaced=piece.spaced), *new[1:]] if new else []
        if closing:
            raise ClaimError("a brace { is not closed")
        if bars:
            raise ClaimError(f"the bar | at position {bars[-1]} is not closed")
        return out

    def _atom(self, piece: _Piece, depth: int) -> list[Token]:
        if piece.kind == "command":
            return self._command(piece, depth)
        if piece.kind == "number":
            return [Token("number", number_text(piece.text, piece.at), piece.at)]
        if piece.kind == "letters":
            return self._letters(piece)
        return self._sign(piece, depth)

    def _sign(self, piece: _Piece, depth: int) -> list[Token]:
        sign, at = piece.text, piece.at
        if sign == "{":
            return [*self._grouped(self.sequence(depth + 1, "}"), at), *self._subscripts()]
        if sign == "^":
            return self._power(at, depth)
        if sign in "([":
            return [Token("open", "(", at)]
        if sign in ")]":
            return [Token("close", ")", at), *self._subscripts()]
        if sign in _RELATION:
            return [Token("relation", {"=": "==", "≤": "<=", "≥": ">="}.get(sign, sign), at)]
        if sign in "+-*/":
            return [Token("operator", sign, at)]
        if sign == "'":
            return [Token("prime", "'", at)]
        if sign == ",":
            return [Token("comma", ",", at)]
        if sign == "_":
            raise ClaimError(f"the subscript at position {at} is not read: only t and t+1 are")
        return tokens_at(sign, at, self._vocabulary)

    def _command(self, piece: _Piece, depth: int) -> list[Token]:
        word, at = piece.text, piece.at
        if word in _FRACTIONS:
            top, bottom = self._argument(piece, depth), self._argument(piece, depth)
            slash = Token("operator", "/", at)
            return self._grouped([*top, slash, *bottom], at)
        if word == "sqrt":
            return [Token("function", "sqrt", at), *self._argument(piece, depth)]
        if word in _GREEK:
            return self._named(_GREEK[word], at)
        if word in _TILDES or word in _FACES or word in _WORDS:
            return self._decorated(piece, depth)
        if word in _SIGNS:
            sign = self._dot if word == "cdot" else _SIGNS[word]
            return [Token("operator" if sign in ("*", "//") else "relation", sign, at)]
        if word in _BRACKETS:
            kind = "open" if _BRACKETS[word] == "(" else "close"
            return [Token(kind, _BRACKETS[word], at)]
        if word == "sum" and self._vocabulary.is_matrix:
            return self._sum(at)
        if word in _TRACES and self._vocabulary.is_matrix:
            return self._function("trace", at)
        if word in ("prime",):
            return [Token("prime", "'", at)]
        if word in ("exp", "log", "ln", "tanh", "min", "max"):
            return self._function("log" if word == "ln" else word, at)
        raise ClaimError(f"the command \\{word[:30]} at position {at} is not read in a claim")

    def _function(self, name: str, at: int) -> list[Token]:
        following = self._peek()
        if following is None or following.text not in ("(", "[", "{", "lbrack", "lbrace"):
            raise ClaimError(f"the function {name} at position {at} needs parentheses")
        return [Token("function", name, at)]

    def _decorated(self, piece: _Piece, depth: int) -> list[Token]:
        """Read a tilde (the residual), a face such as calligraphic L, or an upright word."""
        if piece.text in _TILDES:
            inner = [t for t in self._argument(piece, depth) if t.kind not in ("open", "close")]
            rest = [t for t in inner[1:] if t.kind not in ("prime", "index")]
            if [t.text for t in inner[:1]] != ["f"] or rest:
                raise ClaimError(f"only f carries a tilde, at position {piece.at}")
            name, *marks = self._named("g", piece.at)
            return [name, *inner[1:], *marks]
        word = self._braced_word(piece)
        if word in _TRACES and self._vocabulary.is_matrix:
            return self._function("trace", piece.at)
        if word in FUNCTIONS:
            return self._function(word, piece.at)
        return self._named(word, piece.at)

    def _braced_word(self, piece: _Piece) -> str:
        words = []
        while (following := self._peek()) is not None:
            self._next += 1
            words.append(following.text)
            if following.text == "}" or words[0] != "{":
                return "".join(words).strip("{}")
        raise ClaimError(f"\\{piece.text} at position {piece.at} lacks its argument")

    def _letters(self, piece: _Piece) -> list[Token]:
        """Read a run of letters: one known name, or a product of single letters."""
        if len(piece.text) > 1 and piece.text in self._vocabulary.known:
            return self._named(piece.text, piece.at)
        out: list[Token] = []
        for offset, letter in enumerate(piece.text[:-1]):
            out.append(self._name(letter, piece.at + offset))
        if piece.text[-1] == "e" and self._vocabulary.base.get("e") is None:
            following = self._peek()
            if following is not None and following.text == "^":
                self._next += 1
                return [*out, Token("function", "exp", piece.at), *self._argument(piece, 1)]
        return [*out, *self._named(piece.text[-1], piece.at + len(piece.text) - 1)]

    def _name(self, word: str, at: int) -> Token:
        return Token("name", self._vocabulary.canonical(word, at), at)

    def _named(self, word: str, at: int) -> list[Token]:
        """Return a name with its marks of time, then its power: f_{t+1}^2 and f^2_{t+1}."""
        out = [self._name(word, at)]
        upper: list[Token] = []
        power: list[Token] = []
        while (following := self._peek()) is not None:
            if following.text == "_" and following.kind == "sign":
                self._next += 1
                out += self._subscript(following)
            elif following.text == "'" and not power:
                self._next += 1
                out.append(Token("prime", "'", following.at))
            elif following.text == "^" and not power:
                self._next += 1
                power = self._power(following.at, 1)
                if power and power[0].kind == "index":
                    upper, power = upper + power, []
                elif not power or power[0].kind == "prime":
                    out, power = out + power, []
            else:
                break
        if sum(t.kind == "prime" for t in out) > 1:
            raise ClaimError(f"two marks of time at position {at}: a claim is about one step")
        return _joined(out, upper) + power

    def _subscripts(self) -> list[Token]:
        """Read the step of a group: {f}_{t+1} and (a - 4)_t."""
        following = self._peek()
        if following is None or following.text != "_" or following.kind != "sign":
            return []
        self._next += 1
        return self._subscript(following)

    def _subscript(self, mark: _Piece) -> list[Token]:
        """Read a subscript: the steps t and t+1, and for matrices the labels of indices."""
        text = self._group()
        if text not in ("t", "t+1") and not self._vocabulary.is_matrix:
            raise ClaimError(
                f"the subscript {text[:20]!r} at position {mark.at} is not read: only t and t+1 are"
            )
        labels, after = labels_of(text, mark.at)
        marks = [Token("prime", "'", mark.at)] if after else []
        return [*marks, index_token(labels, mark.at)] if labels else marks

    def _group(self) -> str:
        """Read a group in braces, or one letter or command, as words with spaces between them."""
        texts: list[str] = []
        first = self._peek()
        self._next += 1
        if first is not None and first.text == "{" and first.kind == "sign":
            depth = 1
            while depth and (piece := self._peek()) is not None:
                depth += {"{": 1, "}": -1}.get(piece.text, 0)
                texts += [] if piece.text in ("{", "}") else [piece.text]
                self._next += 1
        elif first is not None and first.kind in ("letters", "number"):
            self._next -= 1
            texts.append(self._taken(first))
        elif first is not None:
            texts.append(first.text)
        return " ".join(texts).replace("t + 1", "t+1")

    def _sum(self, at: int) -> list[Token]:
        """Read a sum over indices; its limits are those of the index and are not kept."""
        following = self._peek()
        indexed = following is not None and following.text == "_"
        self._next += indexed
        tokens = sum_tokens(self._group().partition("=")[0] if indexed else "", at)
        following = self._peek()
        if following is not None and following.text == "^" and following.kind == "sign":
            self._next += 1
            self._group()
        return tokens

    @property
    def _dot(self) -> str:
        """The operator of a centred dot: between vectors it is their inner product."""
        return "//" if self._vocabulary.is_matrix else "*"

    def _power(self, at: int, depth: int) -> list[Token]:
        if found := self._marked(at):
            return found
        argument = self._argument(_Piece("sign", "^", at), depth)
        inner = [t for t in argument if t.kind not in ("open", "close")]
        if [t.kind for t in inner] == ["prime"]:
            return [Token("prime", "'", at)]
        return [Token("operator", "**", at), *argument]

    def _marked(self, at: int) -> list[Token]:
        """Read a superscript that is no power: a transpose, or the step (t+1)."""
        start = self._next
        plain = [word for word in self._group().split() if word not in _FACES_OF_T]
        if plain == ["t+1"]:
            return [Token("prime", "'", at)]
        if self._vocabulary.is_matrix and plain in _TRANSPOSES:
            return [Token("transpose", "T", at)]
        # Greek letters above a name of matrices are indices, first of all that of the sample.
        if self._vocabulary.is_matrix and plain and LABELS.issuperset(plain):
            return [index_token(plain, at)]
        self._next = start
        return []

    def _argument(self, piece: _Piece, depth: int) -> list[Token]:
        """Return the argument of a command: a group in braces, or a single digit or letter."""
        following = self._peek()
        if following is None:
            raise ClaimError(f"{piece.text!r} at position {piece.at} lacks its argument")
        if following.kind in ("number", "letters"):
            return self._grouped([self._first_character(following)], following.at)
        self._next += 1
        if following.text == "{" and following.kind == "sign":
            return self._grouped(self.sequence(depth + 1, "}"), following.at)
        if following.kind == "command" and following.text == "prime":
            return [Token("prime", "'", following.at)]
        if following.kind == "command" and following.text in _GREEK:
            name = self._name(_GREEK[following.text], following.at)
            return self._grouped([name], following.at)
        raise ClaimError(f"put braces around the argument at position {following.at}")

    def _first_character(self, piece: _Piece) -> Token:
        r"""Take one digit or letter from a run, as TeX does: \frac12 is a half."""
        head = self._taken(piece)
        if piece.kind == "number":
            return Token("number", head, piece.at)
        return self._name(head, piece.at)

    def _taken(self, piece: _Piece) -> str:
        """Take the first character of a piece, and leave the rest of it to be read."""
        head, tail = piece.text[0], piece.text[1:]
        if "." in (head, tail):
            raise ClaimError(f"put braces around the argument at position {piece.at}")
        if tail:
            rest = replace(piece, text=tail, at=piece.at + 1)
            self._pieces = [*self._pieces[: self._next], rest, *self._pieces[self._next + 1 :]]
        else:
            self._next += 1
        return head

    def _grouped(self, tokens: list[Token], at: int) -> list[Token]:
        return [Token("open", "(", at), *tokens, Token("close", ")", at)]

    def _peek(self) -> _Piece | None:
        return self._pieces[self._next] if self._next < len(self._pieces) else None


def _joined(tokens: Sequence[Token], upper: Sequence[Token]) -> list[Token]:
    """Return a name's tokens with its indices in one, those above first: x^mu_a is X[mu, a]."""
    indices = [*upper, *(t for t in tokens if t.kind == "index")]
    if not upper:
        return list(tokens)
    labels = ", ".join(t.text.strip("[]") for t in indices)
    rest = [t for t in tokens if t.kind != "index"]
    return [*rest, Token("index", f"[{labels}]", indices[0].at)]


def tokens_at(character: str, at: int, vocabulary: Words) -> list[Token]:
    """Return the tokens of a single character inside LaTeX, such as a Greek letter."""
    try:
        found = tokens_of(character, vocabulary)
    except ClaimError:
        raise ClaimError(f"cannot read {character!r} at position {at}") from None
    return [replace(t, at=at) for t in found]
