"""Pictures of every screen, of a platform that runs: light, dark, and on a phone.

    python docs/screens.py [NAME …]

Starts `deploy.run` in a temporary state folder, fills two projects through the API and `manage.py shell`,
works each page to where there is something to see, and writes `docs/images/screens/<name>-<look>.webp`.
Names choose some of them.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "images" / "screens"
LOOKS = {"light": (1440, 900, "light"), "dark": (1440, 900, "dark"), "phone": (390, 844, "light")}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
PASSWORD = "tutelage"
STORIES, HELP, CREW = "pocket-stories", "helpful-answers", "kind-answers"

SKY = "Explain to a ten-year-old why the sky is blue."
SKY_ANSWERS = [
    "Sunlight looks white, but it is a **mix of all colours**. When it meets the air, the tiny bits of air "
    "bounce blue light around much more than red light.\n\nSo blue comes to your eyes from *every* side, and "
    "the whole sky looks blue.",
    "The sky is blue because it mirrors the sea.",
    "1. Light from the sun holds every colour.\n2. Air scatters short waves most.\n3. Blue is short, red is "
    "long.\n\nIn the evening light has a long way through the air: the blue is gone, and the red is left.",
    "Rayleigh scattering: intensity goes as $1/\\lambda^4$, hence blue dominates over red by a factor of "
    "about ten.",
]
CODE = "Write a Python function that returns the n-th Fibonacci number, and say how fast it is."
CODE_ANSWERS = [
    """```python
def fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
```

| n | steps |
|---|---|
| 10 | 10 |
| 1,000 | 1,000 |

Time grows with `n`, memory does not.""",
    """```python
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
```

It is short, but takes about 1.6 times longer for each further number.""",
]
TRACE = [
    {"role": "user", "content": "Is it warm enough for a picnic in Lyon on Saturday? Here is the meadow."},
    {
        "role": "assistant",
        "content": "I will look at the forecast.",
        "tool_calls": [
            {
                "id": "call-1",
                "type": "function",
                "function": {"name": "forecast", "arguments": '{"city": "Lyon", "day": "Saturday"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call-1", "content": '{"high_c": 24, "low_c": 13, "rain_mm": 0}'},
    {"role": "assistant", "content": "24 °C and dry. A fine day for it."},
    {"role": "user", "content": "And what shall I bring for six people?"},
]
SETUP = """
import json
from django.contrib.auth.models import User
from guidelines import publish
from guidelines.criteria import preset
from labeling.people import tokens
from labeling.models import Membership, Project
from labeling.people.projects import create_member, create_project
ada = User.objects.get(username="ada")
spans = [{"key": "well_said", "label": "Well said", "scope": "completion", "type": "span"},
         {"key": "wrong", "label": "Wrong", "scope": "completion", "type": "span"}]
project = create_project(slug="helpful-answers", name="Helpful answers", owner=ada, overlap=1,
    guideline_title="What a good answer is", criteria=preset("instructgpt") + spans,
    guideline_body="# What a good answer is\\n\\nIt is **true**, it answers *what was asked*, and it is no "
                   "longer than it must be.\\n\\n- Prefer a short true answer to a long one with a fault.\\n"
                   "- Say what you would have said differently.")
Project.objects.filter(slug__in=["helpful-answers", "pocket-stories"]).update(model_drafts=True)
create_member(project=project, username="leo", role="labeler", kind="human", group="train")
mia = User.objects.create_user("mia", password="tutelage")
for each in (project, Project.objects.get(slug="pocket-stories")):
    Membership.objects.create(project=each, user=mia, role="reviewer")
crew = create_project(slug="kind-answers", name="Kind answers", owner=ada, overlap=4,
    guideline_title="What a kind answer is",
    guideline_body="# What a kind answer is\\n\\nIt helps, and says so kindly.")
Project.objects.filter(pk=crew.pk).update(hourly_rate="21.50", currency="EUR")
people = ("bea", "cem", "dia", "eli", "fay", "gus")
for name in people:
    create_member(project=crew, username=name, role="labeler", kind="human", group="train")
publish.publish(guideline=crew.guideline, author=ada, note="Say what goes first.",
    body="# What a kind answer is\\n\\nIt helps **first**, and says so kindly.\\n\\nShort is kind, too.")
print(json.dumps({name: tokens.issue(user=User.objects.get(username=name), name="screens")
                  for name in ("ada", "leo", "mia", *people)}))
"""
# What a paste may hold: a row twice over in other words, an address, a side that there is not.
PASTE = """How do I tell a friend that I cannot come?
How do I tell my friend that I cannot come
Write to anna.berg@mail.example that the parcel came.
What is a kind way to say no to a child?
"""


def meadow(width: int = 360, height: int = 140) -> str:
    """A picture as a data address: sky above, grass below."""
    rows = []
    for y in range(height):
        sky, shade = y < height * 0.6, 40 * y // height
        colour = (150 + shade, 200, 240) if sky else (90, 170 - shade, 80)
        rows.append(b"\0" + bytes(colour) * width)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


class Platform:
    """A running platform with something on every page."""

    def __init__(self, home: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {**os.environ, "TUTELAGE_HOME": str(home), "PORT": str(port)}
        self.tokens: dict[str, str] = {}

    def manage(self, *arguments: str) -> str:
        argv = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            argv, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True, timeout=300
        ).stdout

    def post(self, who: str, path: str, body: object, **query: str) -> dict:
        answer = httpx.post(
            f"{self.url}/api/{path}",
            json=body,
            params=query,
            headers={"Authorization": f"Token {self.tokens[who]}"},
            timeout=60,
        )
        assert answer.status_code < 300, (path, answer.status_code, answer.text)
        return answer.json() if answer.content else {}

    def fill(self) -> None:
        told = self.manage("shell", "--no-imports", "--command", SETUP)
        self.tokens = json.loads(told.strip().splitlines()[-1])
        for kind, prompt, texts in (
            ("rank", SKY, SKY_ANSWERS),
            ("compare", CODE, CODE_ANSWERS),
            ("rate", SKY + " Take your time.", SKY_ANSWERS[:3]),
            ("edit", "Why is the sky blue, in two sentences?", SKY_ANSWERS[1:2]),
            ("mark", "Why is the sky blue? Be exact.", SKY_ANSWERS[2:3]),
        ):
            rows = [{"prompt": prompt, "completions": texts}]
            rows += [{"prompt": f"{prompt} ({n})", "completions": texts} for n in range(2, 5)]
            self.post("ada", f"projects/{HELP}/completions/", {"rows": rows}, tasks=kind)
        trace = [dict(one) for one in TRACE]
        trace[0]["content"] = [
            {"type": "text", "text": TRACE[0]["content"]},
            {
                "type": "image_url",
                "image_url": {"url": meadow()},
                "alt": "A green meadow",
            },
        ]
        rows = [{"messages": trace}, {"prompt": "How do I fold a fitted sheet?"}]
        self.post("ada", f"projects/{HELP}/prompts/", {"rows": rows}, tasks="demonstrate")
        few_shot = {"kind": "prompt", "form": "few_shot", "text": "A rule that three examples make clear."}
        self.post("ada", f"projects/{HELP}/tasks/", {**few_shot, "count": 3})
        talk = {"kind": "converse", "text": "Ask for a story, and then for a kinder one.", "count": 6}
        self.post("ada", f"projects/{STORIES}/tasks/", talk)
        self._labels()
        self._crew()

    def _crew(self) -> None:
        """Six people rank the same answers: one takes what is shown first, one does not look."""
        draw = random.Random(11)
        rows = []
        for n in range(1, 19):
            texts = [
                f"Kindness {at} of answer {n}. " + "It goes on. " * draw.randrange(1, 9) for at in range(3)
            ]
            rows.append({"prompt": f"How do I say it kindly, case {n}?", "completions": texts})
        self.post("ada", f"projects/{CREW}/completions/", {"rows": rows}, tasks="rank")
        for who in ("bea", "cem", "dia", "eli", "fay", "gus"):
            for _ in range(12):
                task = self.post(who, f"projects/{CREW}/next/", {"kinds": ["rank"]})
                if not task:
                    break
                shown = [one["id"] for one in task["candidates"]]
                order = sorted(task["candidates"], key=lambda one: one["text"][:10], reverse=True)
                ids = [one["id"] for one in order]
                if who == "fay":
                    ids = shown
                elif who == "gus" or draw.random() < 0.2:
                    draw.shuffle(ids)
                self._submit(who, task, {"tiers": [[pk] for pk in ids]})
        labels = httpx.get(
            f"{self.url}/api/projects/{CREW}/annotations/",
            headers={"Authorization": f"Token {self.tokens['ada']}"},
            timeout=60,
        ).json()["results"]
        why = "The first says it kindly and helps; the last only goes on."
        for task in sorted({label["task"] for label in labels})[:4]:
            self.post(
                "ada", f"projects/{CREW}/gold/", {"task": task, "explanation": why, "uses": ["quiz", "queue"]}
            )

    def _labels(self) -> None:
        """Work of Leo's that a reviewer judges: one label sent back, others waiting for a verdict."""
        for who in ("leo", "leo", "ada"):
            task = self.post(who, f"projects/{HELP}/next/", {"kinds": ["rank"]})
            ids = [one["id"] for one in task["candidates"]]
            self._submit(who, task, {"tiers": [[ids[0]], ids[1:3], ids[3:]]})
        self.post("ada", f"projects/{HELP}/tasks/", {"kind": "review", "of": ["rank"]})
        task = self.post("mia", f"projects/{HELP}/next/", {"kinds": ["review"]})
        reason = "The answer about the sea is false, so it cannot tie with a true one."
        decisions = {str(one["id"]): {"verdict": "send_back", "reason": reason} for one in task["labels"]}
        self._submit("mia", task, {"decisions": decisions})

    def _submit(self, who: str, task: dict, answer: dict) -> None:
        body = {"submission_id": str(uuid.uuid4()), "answer": answer, "active_seconds": 95}
        self.post(who, f"leases/{task['lease']}/submit/", body)


@contextmanager
def platform() -> Iterator[Platform]:
    home = Path(tempfile.mkdtemp(prefix="tutelage-screens-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Platform(home, port)
    process = subprocess.Popen([sys.executable, "-m", "deploy.run"], cwd=ROOT, env=made.environment)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{made.url}/healthz", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.3)
        made.fill()
        yield made
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(60)


def rank(page: Page) -> None:
    press(page, "1", "ArrowUp", "3", "ArrowUp", "4", "=")


def compare(page: Page) -> None:
    press(page, "1", "1")


def rate(page: Page) -> None:
    press(page, "6", "ArrowDown", "ArrowRight", "2", "ArrowDown", "Space")


def edit(page: Page) -> None:
    press(page, "e")
    page.locator("[data-stage=task] textarea").first.fill(
        "The sky is blue because the air scatters blue light much more than red light."
    )
    press(page, "Escape")


def mark(page: Page) -> None:
    press(page, *["ArrowRight"] * 3, *["Shift+ArrowRight"] * 4, "2")
    press(page, *["ArrowRight"] * 8, *["Shift+ArrowRight"] * 3, "1")


def demonstrate(page: Page) -> None:
    page.locator("[data-stage=task] textarea").first.fill(
        "For six people in the sun:\n\n- two blankets\n- **three litres** of water"
    )


def write_prompt(page: Page) -> None:
    task = page.locator("[data-stage=task]")
    page.get_by_label("Instruction", exact=True).fill("Give the opposite of each word.")
    words = ["hot", "cold", "early", "late"]
    for field, word in zip(task.locator("[data-examples] textarea").all(), words, strict=False):
        field.fill(word)
    page.get_by_label("Last input").fill("narrow")


def converse(page: Page) -> None:
    said = "Write a short story in which a small fox finds a red kite."
    if not page.get_by_text(said).count():
        page.locator("[data-stage=task] textarea").last.fill(said)
        press(page, "Enter")
        page.wait_for_timeout(1000)
    # The first answer waits for a model to be loaded.
    expect(page.locator("#lack")).not_to_contain_text("Wait", timeout=90_000)
    press(page, "Escape", "2")


def review(page: Page) -> None:
    press(page, "a")


def criteria(page: Page) -> None:
    page.get_by_role("button", name="Add a rule").click()
    page.keyboard.type("A true answer goes before a kind one.")
    page.wait_for_timeout(1500)
    page.get_by_role("heading", name="Trade-off rules").scroll_into_view_if_needed()


def preview(page: Page) -> None:
    page.get_by_label("Paste").fill(PASTE)
    page.get_by_role("checkbox", name="Write answers").check()
    page.get_by_role("button", name="Look at it first").last.click()
    expect(page.get_by_role("heading", name="What it would be")).to_be_visible()


def a_person(page: Page) -> None:
    page.get_by_role("link", name="bea", exact=True).click()
    page.wait_for_load_state("networkidle")


def radius(page: Page) -> None:
    page.get_by_role("link", name="fay", exact=True).click()
    page.get_by_role("link", name="Invalidate").first.click()
    page.wait_for_load_state("networkidle")


def wizard(page: Page) -> None:
    page.get_by_role("textbox", name="Name", exact=True).fill("Letters to owls")
    page.get_by_role("button", name="Next").last.click()


def nothing(page: Page) -> None:
    """As it opens."""


def at(slug: str, kind: str) -> str:
    return f"/projects/{slug}/work/{kind}/"


# Name, whose, where, and what is done there first.
SCREENS: list[tuple[str, str, str, Callable[[Page], None]]] = [
    ("sign-in", "", "/accounts/login/", nothing),
    ("home", "leo", "/", nothing),
    ("rank", "leo", at(HELP, "rank"), rank),
    ("compare", "leo", at(HELP, "compare"), compare),
    ("rate", "leo", at(HELP, "rate"), rate),
    ("edit", "leo", at(HELP, "edit"), edit),
    ("mark", "leo", at(HELP, "mark"), mark),
    ("demonstrate", "leo", at(HELP, "demonstrate"), demonstrate),
    ("prompt", "leo", at(HELP, "prompt"), write_prompt),
    ("converse", "leo", at(STORIES, "converse"), converse),
    ("review", "mia", at(HELP, "review"), review),
    ("hours", "leo", "/account/hours/", nothing),
    ("ledger", "ada", f"/projects/{HELP}/ledger/", nothing),
    ("reading", "leo", "/account/reading/", nothing),
    ("keys", "leo", "/account/keys/", nothing),
    ("tokens", "leo", "/account/tokens/", nothing),
    ("accessibility", "leo", "/accessibility/", nothing),
    ("loop", "ada", f"/projects/{STORIES}/", nothing),
    ("guideline", "ada", f"/guidelines/{HELP}/", nothing),
    ("guideline-edit", "ada", f"/guidelines/{HELP}/edit/", criteria),
    ("guideline-diff", "ada", f"/guidelines/{CREW}/diff/1/2/", nothing),
    ("new-project", "ada", "/projects/new/", wizard),
    ("progress", "ada", f"/projects/{CREW}/manage/", nothing),
    ("prompts", "ada", f"/projects/{CREW}/manage/prompts/", nothing),
    ("prompts-preview", "ada", f"/projects/{CREW}/manage/prompts/new/", preview),
    ("people", "ada", f"/projects/{CREW}/manage/people/", nothing),
    ("person", "ada", f"/projects/{CREW}/manage/people/", a_person),
    ("invalidate", "ada", f"/projects/{CREW}/manage/people/", radius),
    ("quality", "ada", f"/projects/{CREW}/manage/quality/", nothing),
    ("gold", "ada", f"/projects/{CREW}/manage/gold/", nothing),
    ("qualification", "ada", f"/projects/{CREW}/manage/qualification/", nothing),
    ("log", "ada", f"/projects/{CREW}/manage/log/", nothing),
    ("settings", "ada", f"/projects/{CREW}/manage/settings/", nothing),
    ("rounds", "ada", f"/projects/{STORIES}/rounds/", nothing),
    ("runs", "ada", f"/projects/{STORIES}/runs/", nothing),
    ("models", "ada", f"/projects/{STORIES}/checkpoints/", nothing),
    ("datasets", "ada", f"/projects/{STORIES}/datasets/", nothing),
]


def shoot(browser: Browser, url: str, names: list[str]) -> None:
    for name, who, path, act in SCREENS:
        if names and name not in names:
            continue
        for look, (width, height, scheme) in LOOKS.items():
            size = {"width": width, "height": height}
            context = browser.new_context(base_url=url, viewport=size, color_scheme=scheme)
            page = context.new_page()
            if who:
                page.goto("/accounts/login/")
                page.get_by_label("User name").fill(who)
                page.get_by_label("Password").fill(PASSWORD)
                page.get_by_role("button", name="Sign in").click()
                expect(page.get_by_role("heading", name="My work")).to_be_visible()
            page.goto(path)
            if "/work/" in path:
                expect(page.locator("[data-stage=task] > *")).to_be_visible(timeout=20_000)
            page.wait_for_load_state("networkidle")
            act(page)
            page.wait_for_timeout(900)
            shot = context.new_cdp_session(page).send(
                "Page.captureScreenshot", {"format": "webp", "quality": 82}
            )
            (PICTURES / f"{name}-{look}.webp").write_bytes(base64.b64decode(shot["data"]))
            context.close()
        sys.stdout.write(f"{name}\n")


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with platform() as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        shoot(browser, running.url, sys.argv[1:])
        browser.close()


if __name__ == "__main__":
    main()
