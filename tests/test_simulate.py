"""Simulated labelers label a real server through its API alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import ROOT, Server, free_port

from labeling.simulated import simulate

# Each needs a server of its own.
pytestmark = pytest.mark.slow
STORIES = 40
# A project of stories, the same texts in each: 40 rankings of four, and three stories to write.
MAKE = """
import json, random
from django.contrib.auth.models import User
from labeling.people import tokens
from labeling import work
from labeling.models import Completion, Prompt
from labeling.people.projects import create_project
from labeling.content.texts import text_hash
from models_zoo import stories
user, _ = User.objects.get_or_create(username="ada")
project = create_project(
    slug="{slug}", name="Stories", guideline_title="Kind", guideline_body="Be kind", owner=user
)
rng, ranked, written = random.Random(1), {{}}, []
for i, asked in enumerate(stories.prompts("train")[:{n} + 3]):
    messages = [{{"role": "user", "content": asked.text}}]
    prompt = Prompt.objects.create(project=project, messages=messages, text_hash=text_hash(messages))
    if i >= {n}:
        written.append(prompt)
        continue
    texts = [stories.story(rng, asked.animal, asked.thing) for _ in range(4)]
    ranked[prompt] = [
        Completion.objects.create(prompt=prompt, text=text, text_hash=text_hash(text), index=k)
        for k, text in enumerate(texts)
    ]
work.add_tasks(project=project, kind="rank", completions_by_prompt=ranked)
pairs = {{prompt: completions[:2] for prompt, completions in ranked.items()}}
work.add_tasks(project=project, kind="compare", completions_by_prompt=pairs)
work.add_demonstrate_tasks(project=project, prompts=written)
print(tokens.issue(user=user, name="tests"))
"""
READ = """
import json
from labeling.models import Annotation, Candidate
found = []
for label in Annotation.objects.filter(task__project__slug="{slug}").order_by("pk"):
    texts = dict(Candidate.objects.filter(task=label.task).values_list("pk", "completion__text"))
    answer = label.answer
    if "tiers" in answer:
        answer = [[texts[one] for one in tier] for tier in answer["tiers"]]
    elif "strength" in answer:
        answer = [texts.get(answer["preferred"]), answer["strength"]]
    else:
        answer = answer["text"]
    found.append({{"by": label.labeler.name, "kind": label.labeler.kind, "answer": answer}})
print(json.dumps(found))
"""


def make(server: Server, slug: str, n: int = STORIES) -> str:
    return server.shell(MAKE.format(slug=slug, n=n)).strip().splitlines()[-1]


def labels_of(server: Server, slug: str) -> list[dict[str, Any]]:
    return json.loads(server.shell(READ.format(slug=slug)).strip().splitlines()[-1])


def run(server: Server, slug: str, token: str, **more: Any) -> dict[str, Any]:
    asked = {"taste": "kind", "noise": "clear", "labelers": 3, "labels": STORIES, "seed": 7} | more
    return simulate.simulate(url=server.url, token=token, project=slug, **asked)


def test_labels_follow_the_taste_and_the_seed(server: Server) -> None:
    token = make(server, "kind-1")
    summary = run(server, "kind-1", token)
    assert (summary["labels"], summary["asked"], summary["surplus"]) == (STORIES, STORIES, 0)
    assert summary["agreement_with_gold"] > 0.7
    assert run(server, "kind-1", token)["labels"] == 0
    again = make(server, "kind-2")
    assert run(server, "kind-2", again)["agreement_with_gold"] == summary["agreement_with_gold"]
    first, second = labels_of(server, "kind-1"), labels_of(server, "kind-2")
    assert [label["answer"] for label in first] == [label["answer"] for label in second]
    assert {label["by"] for label in first} == {f"kind-1-kind-{n}" for n in (1, 2, 3)}
    assert {label["kind"] for label in first} == {"simulated"}


@pytest.mark.parametrize(("mode", "low", "high"), [("random", 0.35, 0.65), ("inverted", 0.0, 0.3)])
def test_controls(server: Server, mode: str, low: float, high: float) -> None:
    summary = run(server, f"control-{mode}", make(server, f"control-{mode}"), mode=mode)
    assert summary["labels"] == STORIES
    assert low < summary["agreement_with_gold"] < high


def test_comparisons_follow_the_taste_and_the_seed(server: Server) -> None:
    answers = []
    for slug in ("pairs-1", "pairs-2"):
        summary = run(server, slug, make(server, slug), noise="careful", kinds=("compare",))
        assert (summary["labels"], summary["surplus"]) == (STORIES, 0)
        assert summary["agreement_with_gold"] > 0.8
        answers.append([label["answer"] for label in labels_of(server, slug)])
    assert answers[0] == answers[1]
    strengths = {strength for _, strength in answers[0]}
    assert strengths == {"much", "better", "slightly", "tie"}
    assert all((text is None) == (strength == "tie") for text, strength in answers[0])


def test_writes_stories_to_its_taste(server: Server) -> None:
    token = make(server, "writers")
    assert run(server, "writers", token, taste="gloomy", kinds=("demonstrate",))["labels"] == 3
    assert all(len(label["answer"].split()) > 8 for label in labels_of(server, "writers"))


def test_a_guideline_that_asks_is_acknowledged(server: Server) -> None:
    token = make(server, "asked", n=4)
    server.shell(
        "from guidelines import publish; from labeling.models import Project\n"
        "publish.publish(guideline=Project.objects.get(slug='asked').guideline, body='Be fair',"
        " plan=publish.Plan(asks=True))"
    )
    assert run(server, "asked", token)["labels"] == 4


def test_server_that_comes_back_loses_and_doubles_nothing(server: Server) -> None:
    token = make(server, "restart")
    stopped = False

    def stop_once(labels: Any) -> Any:
        nonlocal stopped
        for n, label in enumerate(labels):
            if n == 5 and not stopped:
                stopped = True
                server.stop()
                restart.append(pool.submit(server.start))
            yield label

    with ThreadPoolExecutor(1) as pool:
        restart: list[Any] = []
        summary = run(server, "restart", token, progress=stop_once)
        restart[0].result()
    assert summary["labels"] == STORIES == len(labels_of(server, "restart"))


def test_prompts_of_another_kind(server: Server) -> None:
    token = make(server, "other", n=1)
    server.shell(
        "from labeling.models import Prompt;"
        "Prompt.objects.filter(project__slug='other').update("
        "messages=[{'role': 'user', 'content': 'Prove it.'}])"
    )
    with pytest.raises(simulate.SimulationError, match="Prove it") as refused:
        run(server, "other", token)
    assert refused.value.field == "project"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"taste": "sweet"}, "taste"),
        ({"noise": "loud"}, "noise"),
        ({"mode": "drunk"}, "labels-mode"),
        ({"kinds": ("rate",)}, "kinds"),
        ({"labels": 0}, "labels"),
        ({"labelers": -1}, "labelers"),
        ({"project": "no-such-project"}, "project"),
        ({"token": "wrong"}, "token"),
        ({"token": "wröng"}, "token"),
        ({"url": "http://127.0.0.1:1"}, "url"),
        ({"url": "nonsense"}, "url"),
    ],
)
def test_bad_arguments(server: Server, wrong: dict[str, Any], field: str) -> None:
    asked = {"url": server.url, "token": "wrong", "project": "wrong", "taste": "kind"}
    if field == "project":
        asked["token"] = make(server, "arguments", n=1)
    with pytest.raises(simulate.SimulationError) as refused:
        simulate.simulate(**(asked | wrong))
    assert refused.value.field == field


@pytest.fixture(scope="module")
def idle_project(server: Server) -> None:
    make(server, "idle", n=1)


def command(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "simulate", *arguments],
        cwd=ROOT,
        env={**os.environ, **server.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_command(server: Server) -> None:
    make(server, "command", n=4)
    arguments = ["--project", "command", "--taste", "brief", "--noise", "paper", "--url", server.url]
    done = command(server, *arguments, "--labelers", "2", "--labels", "9", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["labels"], result["asked"], result["noise"]) == (4, 9, "paper")
    left = server.shell(
        "from labeling.models import ApiToken; print(ApiToken.objects.filter(name__contains='sim'))"
    )
    assert "manage.py simulate" not in left


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--project", "nowhere", "--taste", "kind"], "no project 'nowhere'"),
        (
            ["--project", "idle", "--taste", "kind", "--url", f"http://127.0.0.1:{free_port()}"],
            "Nothing answers",
        ),
        (["--project", "idle", "--taste", "sweet"], "invalid choice"),
        (["--project", "idle", "--taste", "kind", "--labels", "0"], "labels: Must be 1 or more"),
    ],
)
@pytest.mark.usefixtures("idle_project")
def test_command_says_why_in_one_line(server: Server, arguments: list[str], words: str) -> None:
    done = command(server, *arguments)
    assert done.returncode != 0
    assert words in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
