"""Code in colours: the parts of a program as spans with classes, by the language that its fence names."""

from __future__ import annotations

import re
from functools import lru_cache
from time import thread_time

from markdown_it.common.utils import escapeHtml
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number, Operator, String, _TokenType

_NAMES = (
    "python py python3 pycon javascript js jsx typescript ts tsx html xml css scss json yaml "
    "yml toml ini bash sh shell zsh console powershell sql c cpp c++ csharp cs c# java kotlin "
    "swift go golang rust rs ruby rb php perl lua r julia haskell hs scala dart diff docker "
    "dockerfile make makefile latex tex matlab"
)
LANGUAGES = frozenset(_NAMES.split())
# Some lexers look far ahead again and again: beyond these bounds code stays in one colour.
LONGEST = 20_000
MOST_SECONDS = 0.3
_TIRING = re.compile(r"[^\n]{401}|\s{201}")

# The first that holds a token names it; what is in none stays as the text around it.
_PARTS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "comment"),
    (Keyword, "keyword"),
    (Name.Tag, "keyword"),
    (Operator.Word, "keyword"),
    (String, "string"),
    (Number, "number"),
    (Literal, "number"),
    (Name.Function, "name"),
    (Name.Class, "name"),
    (Name.Attribute, "name"),
    (Name.Decorator, "name"),
    (Name.Builtin, "builtin"),
    (Name.Exception, "builtin"),
    (Generic.Deleted, "removed"),
    (Generic.Inserted, "added"),
    (Generic.Heading, "name"),
    (Generic.Subheading, "comment"),
    (Generic.Prompt, "comment"),
)
CLASSES = frozenset(f"code-{name}" for _, name in _PARTS)


def highlight(code: str, language: str, *, seconds: float = MOST_SECONDS) -> str | None:
    """HTML of ``code``, every character kept.

    None where its language is not known, it is too long, or it would take more than ``seconds`` of computing.
    """
    if language.lower() not in LANGUAGES or len(code) > LONGEST or _TIRING.search(code):
        return None
    # A language's first use compiles its rules, which is not the code's doing.
    lexer, begun = _lexer(language.lower()), thread_time()
    runs: list[tuple[str | None, list[str]]] = []
    for kind, piece in lexer.get_tokens(code):
        if thread_time() - begun > seconds:
            return None
        name = _class(kind)
        if runs and runs[-1][0] == name:
            runs[-1][1].append(piece)
        else:
            runs.append((name, [piece]))
    return "".join(_span(name, "".join(pieces)) for name, pieces in runs)


@lru_cache(maxsize=len(LANGUAGES))
def _lexer(language: str) -> Lexer:
    # A fragment of PHP seldom opens with its tag.
    options = {"startinline": True} if language == "php" else {}
    return get_lexer_by_name(language, stripnl=False, ensurenl=False, **options)


@lru_cache(maxsize=512)
def _class(kind: _TokenType) -> str | None:
    return next((f"code-{name}" for group, name in _PARTS if kind in group), None)


def _span(name: str | None, text: str) -> str:
    return f'<span class="{name}">{escapeHtml(text)}</span>' if name else escapeHtml(text)
