"""Claims as plain text: tokens, then Python's ``ast`` under a whitelist, then SymPy.

Nothing of the user's text is evaluated. The text is cut into tokens, each spelled anew by
this module; Python's parser sees those spellings alone, and its tree may hold sums,
products, powers with small constant exponents, comparisons and a few named functions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims import size as limits
from catapult_theory.rigor.claims.indices import matrix_tokens, with_sums
from catapult_theory.rigor.claims.token import OPERAND_ENDS, Token, Words

FUNCTIONS = ("sqrt", "exp", "log", "tanh", "abs", "min", "max", "next")
_FUNCTION_ALIASES = {"ln": "log", "√": "sqrt", "Abs": "abs", "Min": "min", "Max": "max"}

_NAME = re.compile(r"[ληβωκΔ∆Θℓ](_next\b|_t\b)?|√|[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_NUMBER = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?")
_INDEX = re.compile(
    r"\s?(ₜ(₊₁)?|_\{\s*t\s*(\+\s*1\s*)?\}|_?\(\s*t\s*(\+\s*1\s*)?\)|\[\s*t\s*(\+\s*1\s*)?\])"
)
_EXPONENTIAL = re.compile(r"\s*(?:\^|\*\*)\s*(?=[({])")
_RELATION = re.compile(r"<=|>=|==|=<|=>|!=|:=|[=<>≤≥⩽⩾≠≈~]")
_OPERATOR = re.compile(r"\*\*|[-+*/^·×−⋅∙÷]")
_PRIMES = re.compile(r"\s?['′’]+")
_RELATIONS = {
    "=": "==", "==": "==", "<=": "<=", ">=": ">=", "<": "<", ">": ">", "≤": "<=", "⩽": "<=",
    "≥": ">=", "⩾": ">=", "=<": "<=", "=>": ">=",
}  # fmt: skip
_OPERATORS = {
    "^": "**", "·": "*", "×": "*", "⋅": "*", "∙": "*", "−": "-", "÷": "/",
}  # fmt: skip
_SUPERSCRIPTS = {"²": "2", "³": "3", "⁴": "4", "⁵": "5", "⁶": "6"}
_POSTFIX = {"prime": "next", "transpose": "transpose"}
_OPEN, _CLOSE = "([{", ")]}"


def checked_text(text: object) -> str:
    """Return the text of a claim, or refuse what is not a text of bounded length.

    Raises
    ------
    ClaimError
        For an empty text, one over the bound, or one with control characters.
    """
    if not isinstance(text, str):
        raise ClaimError(f"a claim is a text or a SymPy relation, not {type(text).__name__}")
    if len(text) > limits.TEXT:
        raise ClaimError(f"the claim has {len(text)} characters; at most {limits.TEXT} are read")
    if not text.strip():
        raise ClaimError("the claim is empty: write an equation such as lam' = lam")
    return text


def tokens_of(text: str, vocabulary: Words) -> list[Token]:
    """Cut plain text into tokens, resolving every name.

    Parameters
    ----------
    text : str
    vocabulary : Vocabulary or MatrixVocabulary

    Returns
    -------
    list of Token

    Raises
    ------
    ClaimError
        With the position of the first character or name that cannot be read.
    """
    tokens: list[Token] = []
    bars: list[int] = []
    at, spaced = 0, False
    while at < len(text):
        if text[at].isspace():
            at, spaced = at + 1, True
            continue
        new, end = _next_tokens(text, at, tokens, bars, vocabulary)
        tokens += [replace(new[0], spaced=spaced), *new[1:]]
        at, spaced = end, False
        if len(tokens) > limits.TOKENS:
            raise ClaimError(f"the claim has more than {limits.TOKENS} tokens: shorten it")
    if bars:
        raise ClaimError(f"the bar | at position {bars[-1]} is not closed")
    return tokens


def _next_tokens(
    text: str, at: int, before: Sequence[Token], bars: list[int], vocabulary: Words
) -> tuple[list[Token], int]:
    """Return the tokens that start at a position and where they end."""
    char, here = text[at], at + 1
    if vocabulary.is_matrix and (found := matrix_tokens(text, at, vocabulary)):
        return found
    if match := _NAME.match(text, at):
        return name_tokens(text, match, vocabulary)
    if match := _NUMBER.match(text, at):
        return [Token("number", number_text(match.group(), here), here)], match.end()
    if match := _RELATION.match(text, at):
        return [Token("relation", _relation(match.group(), here), here)], match.end()
    if match := _OPERATOR.match(text, at):
        sign = match.group()
        return [Token("operator", _OPERATORS.get(sign, sign), here)], match.end()
    if match := _PRIMES.match(text, at):
        return _prime(match, before, here), match.end()
    if char in _SUPERSCRIPTS:
        return [Token("operator", "**", here), Token("number", _SUPERSCRIPTS[char], here)], at + 1
    if char in _OPEN:
        return [Token("open", "(", here)], at + 1
    if char in _CLOSE:
        return [Token("close", ")", here)], at + 1
    if char == ",":
        return [Token("comma", ",", here)], at + 1
    if char == "|":
        return bar_tokens(before, bars, here), at + 1
    raise ClaimError(f"cannot read the character {char!r} at position {here}")


def bar_tokens(before: Sequence[Token], bars: list[int], here: int) -> list[Token]:
    """Return the tokens of a bar: it closes an absolute value after an operand, else opens one."""
    if bars and before and before[-1].kind in OPERAND_ENDS:
        bars.pop()
        return [Token("close", ")", here)]
    bars.append(here)
    return [Token("function", "abs", here), Token("open", "(", here)]


def name_tokens(text: str, match: re.Match[str], vocabulary: Words) -> tuple[list[Token], int]:
    """Return the tokens of a name with its marks of time: ``_next``, primes, indices t, t+1."""
    word, end, here = match.group(), match.end(), match.start() + 1
    function = _FUNCTION_ALIASES.get(word, word)
    if function in FUNCTIONS:
        return [Token("function", function, here)], end
    if word == "e" and (power := _EXPONENTIAL.match(text, end)):
        return [Token("function", "exp", here)], power.end()
    after = False
    if word not in vocabulary.base:
        stem = word.removesuffix("_next")
        after, word = stem != word, stem
        if word.endswith("_t") and word not in vocabulary.base:
            if re.match(r"\+1", text[end:]):
                raise ClaimError(
                    f"ambiguous index at position {end + 1}: write f_{{t+1}} or f' for the value "
                    "after the step, or put spaces around + for a sum"
                )
            word = word.removesuffix("_t")
    if index := _INDEX.match(text, end):
        after, end = after or not {"+", "₊"}.isdisjoint(index.group()), index.end()
    out = [Token("name", vocabulary.canonical(word, here), here)]
    if after:
        out.append(Token("prime", "'", here))
    return out, end


def _prime(match: re.Match[str], before: Sequence[Token], here: int) -> list[Token]:
    if len(match.group().strip()) > 1 or (before and before[-1].kind == "prime"):
        raise ClaimError(f"two primes at position {here}: a claim is about one step")
    if not before or before[-1].kind not in ("name", "close", "index", "transpose"):
        raise ClaimError(f"the prime at position {here} follows neither a name nor a parenthesis")
    return [Token("prime", "'", here)]


def _relation(sign: str, here: int) -> str:
    if sign not in _RELATIONS:
        raise ClaimError(
            f"the sign {sign!r} at position {here} is not a relation that can be judged: use "
            "=, <, <=, > or >= (the verdict says up to which order an equation holds)"
        )
    return _RELATIONS[sign]


def number_text(text: str, here: int) -> str:
    """Return a number's text if it is of a bounded size; floats are read as exact decimals.

    Raises
    ------
    ClaimError
        For more digits, or a larger power of ten, than the bound.
    """
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > limits.NUMBER_DIGITS or len(exponent) > 3:
        raise ClaimError(f"the number at position {here} has too many digits")
    if exponent and abs(int(exponent)) > limits.NUMBER_DIGITS:
        raise ClaimError(f"the number at position {here} is too large or too small")
    return text


def with_products(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with the products put in that a reader leaves out.

    Examples
    --------
    >>> found = [Token("number", "2", 1), Token("name", "eta", 2)]
    >>> [t.text for t in with_products(found)]
    ['2', '*', 'eta']
    """
    out: list[Token] = []
    divisor = False
    groups: list[bool] = []
    for token in tokens:
        last = out[-1] if out else None
        ends = last is not None and last.kind in OPERAND_ENDS
        if ends and token.kind in ("name", "number", "function", "open", "sum"):
            _check_product(token, divisor)
            out.append(Token("operator", "*", token.at))
            divisor = False
        if token.kind == "open":
            groups.append(divisor)
            divisor = False
        elif token.kind == "close":
            divisor = groups.pop()
        elif token.kind == "operator" and token.text != "**":
            divisor = token.text == "/"
        elif token.kind in ("relation", "comma"):
            divisor = False
        out.append(token)
    return out


def _check_product(token: Token, divisor: bool) -> None:
    if token.kind == "number":
        raise ClaimError(f"an operator is missing before the number at position {token.at}")
    if divisor and not token.spaced:
        raise ClaimError(
            "ambiguous: a product without a sign follows a division at position "
            f"{token.at}; write f/(2*n) or f/2*n"
        )


def check_nesting(tokens: Iterable[Token]) -> None:
    """Refuse unbalanced parentheses and depth beyond the bound, with the position."""
    opened: list[int] = []
    signs = 0
    last: Token | None = None
    for token in tokens:
        signs = signs + 1 if token.text in ("+", "-") else 0
        if signs > 3:
            raise ClaimError(f"too many signs in a row at position {token.at}")
        if last is not None and last.kind == "function" and token.kind != "open":
            raise ClaimError(f"the function {last.text} at position {last.at} needs parentheses")
        if token.kind == "open":
            opened.append(token.at)
            if len(opened) > limits.DEPTH:
                raise ClaimError(f"parentheses nested deeper than {limits.DEPTH} at {token.at}")
        elif token.kind == "close":
            if not opened:
                raise ClaimError(f"the closing parenthesis at position {token.at} opens nowhere")
            opened.pop()
        last = token
    if opened:
        raise ClaimError(f"the parenthesis at position {opened[-1]} is not closed")


def with_steps(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with each prime and transpose turned into a function of its operand."""
    out: list[Token] = []
    starts: list[int] = []
    start = 0
    for token in with_sums(tokens):
        if token.kind == "open":
            called = bool(out) and out[-1].kind == "function"
            starts.append(len(out) - 1 if called else len(out))
        elif token.kind == "close":
            start = starts.pop()
        elif token.kind == "name":
            start = len(out)
        if token.kind not in _POSTFIX:
            out.append(token)
            continue
        name = _POSTFIX[token.kind]
        out[start:start] = [Token("function", name, token.at), Token("open", "(", token.at)]
        out.append(Token("close", ")", token.at))
    return out


@dataclass(frozen=True)
class Source:
    """Python source made of the parser's own spellings, with a way back to the user's text."""

    text: str
    columns: tuple[int, ...]
    tokens: tuple[Token, ...]

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> Source:
        """Join tokens; numbers become exact integers or quotients of them."""
        columns, parts, column = [], [], 0
        for token in tokens:
            spelled = _spelled(token)
            columns.append(column)
            parts.append(spelled)
            column += len(spelled) + 1
        return cls(" ".join(parts), tuple(columns), tuple(tokens))

    def position(self, column: int) -> int:
        """Return the position in the user's text of a column of the source."""
        at = 1
        for start, token in zip(self.columns, self.tokens, strict=True):
            if start > column:
                break
            at = token.at
        return at

    def tree(self) -> ast.expr:
        """Return Python's tree of the source.

        Raises
        ------
        ClaimError
            If the tokens do not form an expression.
        """
        try:
            return ast.parse(self.text, mode="eval").body
        except SyntaxError as cause:
            place = self.position(max((cause.offset or 1) - 1, 0))
            raise ClaimError(f"cannot read the claim near position {place}") from cause
        except (MemoryError, RecursionError, ValueError) as cause:
            raise ClaimError("the claim is nested too deeply to read") from cause


def _spelled(token: Token) -> str:
    if token.kind != "number":
        return token.text
    value = Fraction(token.text)
    return str(value) if value.denominator == 1 else f"({value.numerator}/{value.denominator})"
