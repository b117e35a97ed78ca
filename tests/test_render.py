"""Answers as HTML: laid out as a chat answer means it, whole, and safe and quick whatever they hold."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidelines import highlight, layout, render
from guidelines.render import answer_html

SAFE_TAGS = render.TAGS | {"div", "span"}
WORD = re.compile(r"[^\W_]+")


class Shown(HTMLParser):
    """What a browser would make of it: the text on screen, the tags, their attributes."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(text: str) -> Shown:
    return Shown(answer_html(text))


def check_safe(page: Shown) -> None:
    assert page.tags <= SAFE_TAGS
    assert not render.UNSEEN.search(page.text)
    for tag, name, value in page.attributes:
        assert name in {"href", "rel", "target", "dir", "class", "role", "tabindex", "aria-label", "start"}
        if name == "href":
            assert re.match(r"(https?|mailto):", value)
        assert name != "target" or (tag, value) == ("a", "_blank")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("one\ntwo", '<p dir="auto">one<br>\ntwo</p>'),
        ("one\r\ntwo\rthree", "one<br>\ntwo<br>\nthree"),
        ("~~gone~~ **strong** *soft*", "<s>gone</s> <strong>strong</strong> <em>soft</em>"),
        ("- [ ] buy\n- [x] sold", '<li class="task">\n<p dir="auto">☐ buy</p>'),
        ("- [x] sold", "☑ sold"),
        ("- [x](https://a.b)", ">x</a>"),
        ("# a\n\n### b\n\n# c", '<h3 dir="auto">a</h3>\n<h4 dir="auto">b</h4>\n<h3 dir="auto">c</h3>'),
        ("###### a\n\n# b", '<h3 dir="auto">a</h3>\n<h3 dir="auto">b</h3>'),
        ("|a|b|\n|-|-:|\n|1|2|", '<td dir="auto" class="to-right">2</td>'),
        (
            "|a|\n|-|\n|1|",
            '<div dir="ltr" class="scrolls" tabindex="0" role="group" aria-label="Table"><table dir="ltr">',
        ),
        (
            "```python\nif a: # <b>\n```",
            '<pre dir="ltr" class="scrolls" tabindex="0" role="group" aria-label="Code, python"><code>'
            '<span class="code-keyword">if</span> a: <span class="code-comment"># &lt;b&gt;</span>\n'
            "</code></pre>",
        ),
        (
            "```\nif a\n```",
            '<pre dir="auto" class="scrolls" tabindex="0" role="group" aria-label="Code"><code>if a',
        ),
        ("```nosuch\nif a\n```", 'aria-label="Code, nosuch"><code>if a\n</code>'),
        ('```"><script>\nif a\n```', "<code>if a\n</code>"),
        (
            "[a](https://b.c)",
            '<a href="https://b.c" target="_blank" rel="noopener noreferrer nofollow">a</a>',
        ),
        ("[a](/accounts/logout/)", "[a](/accounts/logout/)"),
        ("[a](//evil.example)", "[a](//evil.example)"),
        ("[a](JavaScript:alert(1))", "[a](JavaScript:alert(1))"),
        ("[a](&#106;avascript:alert(1))", "[a](javascript:alert(1))"),
        ("<javascript:alert(1)>", "&lt;javascript:alert(1)&gt;"),
        (
            "![an owl](https://a.b/x.png)",
            '<span class="image">Image: an owl <code>https://a.b/x.png</code></span>',
        ),
        ("![x](data:image/png;base64,AA)", "![x](data:image/png;base64,AA)"),
        ("a [1]\n\n[1]: https://b.c", '<p dir="auto">[1]: https://b.c</p>'),
        (r"\(a_1\) \[b\] \*c\*", r"\(a_1\) \[b\] *c*"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<!-- hidden -->", "&lt;!-- hidden --&gt;"),
        ("a\u202eb", '<p dir="auto">a<span class="unseen">U+202E</span>b</p>'),
        ("a&#x202e;b", '<p dir="auto">a<span class="unseen">U+202E</span>b</p>'),
        (
            "\x1b[31mred\x07\x07",
            '<span class="unseen">U+001B</span>[31mred<span class="unseen">U+0007 U+0007</span>',
        ),
        ("```sh\nls \x1b[1m\u2066\n```", '<span class="unseen">U+2066</span>'),
        ("[a](https://b.c/\u202e)", 'href="https://b.c/%E2%80%AE"'),
        ("a\0b\ud800", "a␀b\ufffd"),
        ("", ""),
    ],
)
def test_laid_out(text: str, wanted: str):
    source = answer_html(text)
    assert wanted in source
    check_safe(Shown(source))


@pytest.mark.parametrize(
    ("text", "directions"),
    [
        ("مرحبا\n\nhello", ["p auto", "p auto"]),
        ("- مرحبا\n- hello", ["ul rtl", "p auto", "p auto"]),
        ("1. 12\n2. hello שלום", ["ol ltr", "p auto", "p auto"]),
        ("> - שלום", ["blockquote rtl", "ul rtl", "p auto"]),
        ("- 1\n\na\n\n- ש", ["ul auto", "p auto", "p auto", "ul rtl", "p auto"]),
        ("|שם|b|\n|-|-|", ["div rtl", "table rtl", "th auto", "th auto"]),
        ("# שלום", ["h3 auto"]),
        ("```js\n// שלום\n```", ["pre ltr"]),
        ("```\nשלום\n```", ["pre auto"]),
    ],
)
def test_every_block_has_its_direction(text: str, directions: list[str]):
    page = shown(text)
    assert [f"{tag} {value}" for tag, name, value in page.attributes if name == "dir"] == directions


HOSTILE = {
    "images": "![" * 30_000,
    "brackets": "[" * 60_000,
    "links": "[a](" * 15_000,
    "brackets-among-words": "[" * 400 + "a *b " * 20_000,
    "emphasis": "*_" * 60_000,
    "backticks": " ".join("`" * at for at in range(1, 400)),
    "quotes-on-a-line": "> " * 5_000 + "heart",
    "quotes-and-lists": "> - " * 200 + "heart",
    "lists-by-indent": "\n".join("  " * at + "- heart" for at in range(300)),
    "lazy-quote": "> " * 11 + "heart\n" + "heart\n" * 7_000,
    "table-of-empty-cells": "|" + "a|" * 3_000 + "\n|" + "-|" * 3_000 + "\n" + "heart\n" * 4_000,
    "many-tables": "a|b\n-|-\n" * 8_000,
    "a-line-of-256-kb": "heart " * 43_690,
    "one-word-of-256-kb": "a" * 256 * 1024,
    "controls": "\x1b" * 256 * 1024,
    "lines": "\n" * 256 * 1024,
    "code": "```python\n" + "(" * 200_000,
    "code-of-blank-lines": "```c\n" + "\n" * 7_000,
    "code-of-words": "```java\n" + "a b c d e f g h\n" * 1_200,
    "code-of-short-lines": "```c#\n" + "a\n" * 7_000,
    "many-fences": "```c\n/*\n```\n" * 2_600,
    "entities": "&#x202e;" * 30_000,
    "html": "<div><style>*{display:none}</style><svg/onload=alert(1)>" * 4_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_shapes_are_bounded(name: str):
    text = HOSTILE[name]
    page = shown(text)
    check_safe(page)
    assert WORD.findall(page.text).count("heart") == WORD.findall(text).count("heart")


def test_tangled_text_is_shown_plainly():
    source = answer_html("![" * 30_000 + "\n\n**heart** <b>")
    assert source.startswith('<p class="note">Shown as plain text')
    assert source.endswith('<p class="plain" dir="auto">**heart** &lt;b&gt;</p>')


def test_nothing_is_lost_at_any_depth():
    """The parser would drop what lies deeper than it goes."""
    for depth in range(1, layout.MOST_DEEP + 4):
        quotes = "\n".join("> " * at + f"level{at}\n" + "> " * at for at in range(1, depth + 1))
        lists = "\n".join("  " * at + f"- level{at}" for at in range(1, depth + 1))
        for text in (quotes, lists):
            assert WORD.findall(shown(text).text)[-depth:] == [f"level{at}" for at in range(1, depth + 1)]


def test_twenty_thousand_words_are_laid_out():
    part = "## Part\n\nSome **words** with `code`, a list:\n\n- one\n- two\n\n" + "word " * 188 + "\n\n"
    text = part * 100
    page = shown(text)
    assert len(text.split()) >= 20_000
    assert page.text.count("word ") + page.text.count("word\n") == 18_800
    assert "h3" in page.tags
    assert "strong" in page.tags


LANGUAGES = sorted(highlight.LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_code_is_kept_to_the_letter(language: str):
    code = "\n\n  <a b=\"c\"> 'd' # é \\ /* ${x} \t*/\n\n"
    coloured = highlight.highlight(code, language)
    assert html.unescape(re.sub(r"</?span[^>]*>", "", coloured)) == code


def test_long_code_stays_plain():
    assert highlight.highlight("a" * (highlight.LONGEST + 1), "python") is None


MARKUP = st.sampled_from(
    [
        "word",
        "#",
        "|",
        "-",
        "*",
        "_",
        "~",
        "`",
        "[",
        "]",
        "(",
        ")",
        "<",
        ">",
        "!",
        "&",
        ":",
        ".",
        "\\",
        "\u202e",
        "\x1b",
    ]
    + ["\n\n", "\n", "  ", "    ", "- ", "1. ", "> "]
    + [
        "```py\n",
        "|-|\n",
        "[x] ",
        "![",
        "](",
        "<script>",
        "<style>",
        "<img src=x onerror=a()>",
        "<a href=javascript:a>",
    ]
    + [
        "javascript:",
        "https://a.b/",
        "&#x202e;",
        "&lt;",
        "data:text/html,",
        "<!--",
        "]]>",
        "مرحبا",
        "\r",
        "שלום",
    ]
)


@given(st.one_of(st.text(), st.lists(st.one_of(MARKUP, st.text(max_size=4))).map("".join)))
def test_never_raises_and_is_safe(text: str):
    check_safe(shown(text))


@given(st.lists(st.one_of(MARKUP, st.from_regex(r"\A[a-z]{3,6}\Z"))))
def test_words_are_kept(pieces: list[str]):
    """All but the address of a link and the language of a fence is text on screen."""
    text = " ".join(pieces)
    page = shown(text)
    aside = " ".join(value for _, name, value in page.attributes if name in ("href", "aria-label"))
    kept = set(WORD.findall(page.text + " " + aside))
    written = set(re.findall(r"(?<![&\w])[a-z]{3,6}(?![\w;])", text))
    infos = {word for line in text.splitlines() if re.search("```|~~~", line) for word in WORD.findall(line)}
    assert written - infos <= kept


def test_kept_html_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(render, "MOST_KEPT_BYTES", 20_000)
    kept = render._Kept()
    for at in range(100):
        kept.put(bytes([at]), render.SafeString("a" * 1_000))
    assert kept.get(bytes([99])) is not None
    assert kept.get(bytes([0])) is None
    assert kept._bytes <= 20_000
    assert len(kept._html) >= 15


def test_same_text_is_laid_out_once(monkeypatch: pytest.MonkeyPatch):
    first = answer_html("laid out once")
    monkeypatch.setattr(render, "layout", None)
    assert answer_html("laid out once") is first
