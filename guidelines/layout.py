"""Markdown of an answer as blocks: CommonMark with tables, strikethrough and task lists, in bounded time.

It departs from CommonMark where a labeler would otherwise not see what was written: a single line break is
one, link definitions and images are shown as text, and links lead to the web or to mail only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from time import thread_time

from django.utils.translation import gettext
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from guidelines.highlight import MOST_SECONDS, highlight

# Beyond these a text is not laid out. 20,000 words are some 130,000 characters in some 3,000 lines.
MOST_CHARACTERS = 256 * 1024
MOST_LINES = 8_000
MOST_TOKENS = 50_000
MOST_SIGNS = 25_000
# What lies deeper than this many blocks the parser would leave out.
MOST_DEEP = 24
# The parser looks for the end of every bracket through the rest of its paragraph.
MOST_BRACKETS_BY_CHARACTERS = 500_000

HIGHEST_HEADING = 3

_TASK = re.compile(r"\[([ xX])\](?=\s)")
_DEEP_LINE = re.compile(r"^(?:[ \t]*(?:>|[-+*]|\d{1,9}[.)])){12}(?![-+* \t]*$)", re.MULTILINE)
_LINK = re.compile(r"(?:https?://|mailto:)[^/]", re.IGNORECASE)
_CONTAINERS = {"blockquote_open", "bullet_list_open", "ordered_list_open", "table_open"}
_LEAVES = {"paragraph_open", "heading_open", "th_open", "td_open"}
_STRONG = {"L": "ltr", "R": "rtl", "AL": "rtl"}


class Tangled(ValueError):
    """A text that would take too long to lay out, or would lose a part of itself."""


def layout(text: str) -> str:
    """Return the HTML of ``text``, not yet sanitised; headings begin at `HIGHEST_HEADING`.

    Raises:
        Tangled: it is too long, nested too deeply or of too many parts.
    """
    if len(text) > MOST_CHARACTERS or text.count("\n") > MOST_LINES:
        raise Tangled
    if sum(text.count(sign) for sign in "*_~`[]<&\\") > MOST_SIGNS or _DEEP_LINE.search(text):
        raise Tangled
    return _parser.render(text, {"seconds": MOST_SECONDS})


class _Renderer(RendererHTML):
    """Code and tables scroll within themselves, by keyboard too; images are named and not fetched."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
        begun = thread_time()
        coloured = highlight(token.content, language, seconds=env["seconds"])
        env["seconds"] -= thread_time() - begun
        label = f"{gettext('Code')}, {language}" if language else gettext("Code")
        # A program is written from left to right, whatever its comments are in.
        direction = "auto" if coloured is None else "ltr"
        return (
            f'<pre dir="{direction}" {_scrolls(label)}>'
            f"<code>{escapeHtml(token.content) if coloured is None else coloured}</code></pre>\n"
        )

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.fence(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        alt = self.renderInlineAsText(token.children or [], options, env)
        address = escapeHtml(str(token.attrs["src"]))
        return f'<span class="image">{gettext("Image:")} {escapeHtml(alt)} <code>{address}</code></span>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        table = self.renderToken(tokens, idx, options, env)
        return f'<div dir="{tokens[idx].attrs["dir"]}" {_scrolls(gettext("Table"))}>{table}'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"{self.renderToken(tokens, idx, options, env)}</div>\n"


def _scrolls(label: str) -> str:
    # A group and no region: nine answers full of code would bury the landmarks of the page.
    return f'class="scrolls" tabindex="0" role="group" aria-label="{escapeHtml(label)}"'


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Leave ``\(…\)`` and ``\[…\]`` as written: in an answer they are formulas, not escaped brackets."""
    pair = state.src[state.pos : state.pos + 2]
    if pair not in (r"\(", r"\)", r"\[", r"\]"):
        return False
    if not silent:
        state.pending += pair
    state.pos += 2
    return True


def _inline(state: StateCore) -> None:
    """Parse what stands in the blocks, unless they show that it would take too long."""
    opened = [token for token in state.tokens if token.type in _CONTAINERS or token.type == "list_item_open"]
    if len(state.tokens) > MOST_TOKENS or any(token.level >= MOST_DEEP - 1 for token in opened):
        raise Tangled
    for token in state.tokens:
        if token.type != "inline":
            continue
        if token.content.count("[") * len(token.content) > MOST_BRACKETS_BY_CHARACTERS:
            raise Tangled
        token.children = []
        state.md.inline.parse(token.content, state.md, state.env, token.children)


def _lower_headings(state: StateCore) -> None:
    """Lower headings into the page's outline, and leave no step of it out."""
    headings = [token for token in state.tokens if token.type in ("heading_open", "heading_close")]
    steps = {tag: at for at, tag in enumerate(sorted({token.tag for token in headings}))}
    level = HIGHEST_HEADING - 1
    for token in headings:
        if token.nesting == 1:
            level = min(HIGHEST_HEADING + steps[token.tag], level + 1, 6)
        token.tag = f"h{level}"


def _direct(state: StateCore) -> None:
    """Give every block its direction; a list or table runs as its first strong character does."""
    unknown: list[Token] = []
    for token in state.tokens:
        if token.type in _LEAVES:
            token.attrSet("dir", "auto")
            if style := token.attrs.pop("style", None):
                token.attrSet("class", f"to-{str(style).rpartition(':')[2]}")
            # Else an item of a tight list would have no element to be directed.
            token.hidden = False
        elif token.type == "paragraph_close":
            token.hidden = False
        elif token.type in _CONTAINERS:
            token.attrSet("dir", "auto")
            unknown.append(token)
        elif token.type == "inline" and unknown and (direction := _direction(token.content)):
            for container in unknown:
                container.attrSet("dir", direction)
            unknown.clear()
        elif unknown and token.nesting == -1 and token.level == unknown[-1].level:
            unknown.pop()


def _direction(text: str) -> str | None:
    return next((found for one in text if (found := _STRONG.get(unicodedata.bidirectional(one)))), None)


def _mark_tasks(state: StateCore) -> None:
    """Draw the boxes of a task list."""
    for item, _, inline in _threes(state.tokens):
        if item.type != "list_item_open" or inline.type != "inline" or not inline.children:
            continue
        first = inline.children[0]
        if first.type == "text" and (box := _TASK.match(first.content)):
            first.content = ("☐" if box[1] == " " else "☑") + first.content[box.end() :]
            item.attrSet("class", "task")


def _threes(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token, Token]]:
    return zip(tokens, tokens[1:], tokens[2:], strict=False)


def _new_parser() -> MarkdownIt:
    parser = MarkdownIt(
        "commonmark",
        {"html": False, "breaks": True, "maxNesting": MOST_DEEP},
        renderer_cls=_Renderer,
    )
    parser.enable(["table", "strikethrough"]).disable("reference")
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.core.ruler.at("inline", _inline)
    for rule in (_lower_headings, _direct, _mark_tasks):
        parser.core.ruler.push(rule.__name__.strip("_"), rule)
    # What leads nowhere else stays as it was written.
    parser.validateLink = lambda url: bool(_LINK.match(url))  # type: ignore[method-assign]
    return parser


_parser = _new_parser()
