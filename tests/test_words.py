"""Every word that a person reads on a page is marked for translation."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT

APPS = ("deploy", "guidelines", "labeling", "rlhf")
TEMPLATES = sorted(path for app in APPS for path in (ROOT / app).rglob("templates/**/*.html"))
SCRIPTS = sorted(path for app in APPS for path in (ROOT / app).rglob("static/**/*.js"))

BLOCK = re.compile(r"{% blocktranslate\b.*?{% endblocktranslate %}", re.DOTALL)
COMMENT = re.compile(r"{% comment %}.*?{% endcomment %}|{#.*?#}", re.DOTALL)
CLASSES = re.compile(r"{% block body_class %}.*?{% endblock %}")
TAG = re.compile(r"{%.*?%}|{{.*?}}", re.DOTALL)
WORD = re.compile(r"[^\W\d_]{2,}")
SPOKEN = {"title", "placeholder", "alt", "aria-label", "aria-description", "label"}
# Names, file endings, code and keys: the same in every language.
NAMES = {"Tutelage", "Ctrl", "Esc", "Enter", "JSONL", "JSON", "CSV", "Parquet", "KL", "API", "PPO", "SFT"}
VERBATIM = {"code", "kbd", "script", "style", "svg"}


class Unmarked(HTMLParser):
    """Collects the words of a template that are neither marked nor code."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._verbatim: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VERBATIM:
            self._verbatim.append(tag)
        for name, value in attrs:
            if name in SPOKEN and not (tag == "link" and name == "title"):
                self._look(value or "")

    def handle_endtag(self, tag: str) -> None:
        if self._verbatim and self._verbatim[-1] == tag:
            self._verbatim.pop()

    def handle_data(self, data: str) -> None:
        if not self._verbatim:
            self._look(data)

    def _look(self, text: str) -> None:
        self.words += [word for word in WORD.findall(text) if word not in NAMES]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for pattern in (COMMENT, BLOCK, CLASSES, TAG):
        text = pattern.sub("", text)
    parser = Unmarked()
    parser.feed(text)
    assert parser.words == []


# What shows or says a text, given one in plain quotes.
SHOWS = re.compile(
    r"(?:\.(?:textContent|title|placeholder|ariaLabel)\s*=\s*|\bsay\(\s*|\bnotice\(\s*"
    r"|setAttribute\(\s*\"(?:aria-label|title|placeholder)\",\s*)([\"'`])(?P<said>.*?)\1"
)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_script(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    said = [re.sub(r"\${.*?}", "", found["said"]) for found in SHOWS.finditer(code)]
    assert [text for text in said if WORD.search(text) and text not in NAMES] == []


def test_the_search_finds() -> None:
    parser = Unmarked()
    parser.feed('<p title="Hello">Good morning <code>x = yes</code> <kbd>Ctrl</kbd> Tutelage 12</p>')
    assert parser.words == ["Hello", "Good", "morning"]
    assert SHOWS.search('button.textContent = "Send";')
    assert not SHOWS.search('button.textContent = gettext("Send");')
