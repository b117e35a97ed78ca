"""Markdown to HTML that is safe to show: raw HTML stays text, and what is left is sanitised once more.

`markdown` renders a guideline, `answer_html` what a model or a person wrote in a conversation, `plain_html`
what a program did.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import OrderedDict
from functools import lru_cache
from threading import Lock

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext
from markdown_it import MarkdownIt

from guidelines import highlight
from guidelines.layout import Tangled, layout
from guidelines.models import GuidelineVersion

TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}}
SCHEMES = {"http", "https", "mailto"}
REL = "noopener noreferrer nofollow"

# Controls, and what turns the direction of the text around it: unseen, they could hide what is written.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
MOST_PARAGRAPHS = 5_000
MOST_KEPT_BYTES = 32 * 1024 * 1024

_parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_cleaner = nh3.Cleaner(
    tags=TAGS | {"div", "span"},
    attributes={"a": {"href"}, "ol": {"start"}, "*": {"dir"}}
    | {tag: {"tabindex", "role", "aria-label"} for tag in ("pre", "div")},
    allowed_classes={
        "span": {"unseen", "image", *highlight.CLASSES},
        "pre": {"scrolls"},
        "div": {"scrolls"},
        "li": {"task"},
        "p": {"plain", "note"},
    }
    | {cell: {"to-left", "to-center", "to-right"} for cell in ("th", "td")},
    set_tag_attribute_values={"a": {"target": "_blank"}},
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel=REL,
)


def markdown(text: str) -> SafeString:
    """Render CommonMark with tables; images and raw HTML are not drawn."""
    html = nh3.clean(
        _parser.render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel=REL,
    )
    return mark_safe(html)


def body_html(version: GuidelineVersion) -> SafeString:
    """The text of a guideline version as HTML; rendered once, since a version never changes."""
    return _rendered(version.digest, version.body)


@lru_cache(maxsize=256)
def _rendered(digest: str, body: str) -> SafeString:
    return markdown(body)


def answer_html(text: str) -> SafeString:
    """Return a text of a conversation as HTML, as it is to be read; never raises, and never takes long.

    Single line breaks count, code is coloured by the language that its fence names, every block finds its
    own direction, and characters that would act unseen are shown by their names. What is too long or too
    tangled to be laid out (`guidelines.layout`) comes as plain paragraphs with a note.
    """
    language = get_language() or ""
    key = hashlib.sha256(language.encode() + b"\0" + text.encode("utf-8", "surrogatepass")).digest()
    if (html := _kept.get(key)) is None:
        html = mark_safe(_cleaner.clean(UNSEEN.sub(_name, _laid_out(text))))
        _kept.put(key, html)
    return html


def plain_html(text: str) -> SafeString:
    """Return a text as HTML letter for letter; characters that would act unseen are shown by their names."""
    text = re.sub("\r\n", "\n", text).replace("\0", "\u2400")
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    return mark_safe(UNSEEN.sub(_name, escape(text)))


def _laid_out(text: str) -> str:
    text = re.sub("\r\n?", "\n", text).replace("\0", "\u2400")
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    try:
        return layout(text)
    except Tangled:
        note = gettext("Shown as plain text: it is too long or too tangled to be laid out.")
        parts = re.split(r"\n{2,}", text.strip("\n"), maxsplit=MOST_PARAGRAPHS)
        plain = (f'<p class="plain" dir="auto">{escape(part)}</p>' for part in parts)
        return f'<p class="note">{escape(note)}</p>\n' + "\n".join(plain)


def _name(found: re.Match[str]) -> str:
    return f'<span class="unseen">{" ".join(f"U+{ord(one):04X}" for one in found[0])}</span>'


class _Kept:
    """The HTML of the texts asked for last, at most `MOST_KEPT_BYTES` of it."""

    def __init__(self) -> None:
        self._html: OrderedDict[bytes, SafeString] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: bytes) -> SafeString | None:
        with self._lock:
            if key in self._html:
                self._html.move_to_end(key)
            return self._html.get(key)

    def put(self, key: bytes, html: SafeString) -> None:
        with self._lock:
            if key not in self._html:
                self._html[key] = html
                self._bytes += sys.getsizeof(html)
            while self._bytes > MOST_KEPT_BYTES:
                _, oldest = self._html.popitem(last=False)
                self._bytes -= sys.getsizeof(oldest)


_kept = _Kept()
