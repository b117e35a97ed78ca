"""Markdown to HTML that is safe to show: raw HTML stays text, and what is left is sanitised once more."""

from __future__ import annotations

from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from guidelines.models import GuidelineVersion

TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}}

_parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def markdown(text: str) -> SafeString:
    """Render CommonMark with tables; images and raw HTML are not drawn."""
    html = nh3.clean(
        _parser.render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(html)


def body_html(version: GuidelineVersion) -> SafeString:
    """The text of a guideline version as HTML; rendered once, since a version never changes."""
    return _rendered(version.digest, version.body)


@lru_cache(maxsize=256)
def _rendered(digest: str, body: str) -> SafeString:
    return markdown(body)
