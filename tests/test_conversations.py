"""Conversations that people write: prompts to a brief, and trees that grow, shrink and never starve."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import new_labeler, new_project, new_task
from test_api import Api, api_of, problem, send
from test_intake import shared

from labeling import annotate, queue, work
from labeling.answers import AnswerError
from labeling.datasets import dataset
from labeling.incoming import intake
from labeling.incoming.rowfiles import read_rows
from labeling.models import Annotation, Labeler, Lease, Project, Prompt, Split, Task
from labeling.people.projects import ProjectError, change_settings
from labeling.writing import branching, briefs, conversations

pytestmark = pytest.mark.django_db

FEW_SHOT = {
    "instruction": "Translate to French.",
    "examples": [{"input": "cat", "output": "chat"}, {"input": "dog ", "output": "chien"}],
    "input": "bird",
}


def lease_of(labeler: Labeler, project: Project, *kinds: str) -> Lease:
    lease = queue.lease_next(labeler=labeler, project=project, kinds=kinds or branching.KINDS)
    assert lease is not None
    return lease


def write(lease: Lease, text: str | dict[str, Any] = "") -> Annotation:
    answer = text if isinstance(text, dict) else {"text": text or f"Words {uuid4().hex}"}
    return annotate.submit(lease_id=lease.pk, labeler=lease.labeler, submission_id=uuid4(), answer=answer)


def revise(label: Annotation, text: str | dict[str, Any] = "") -> Annotation:
    answer = text if isinstance(text, dict) else {"text": text or f"Words {uuid4().hex}"}
    return annotate.revise(
        annotation_id=label.pk, labeler=label.labeler, submission_id=uuid4(), answer=answer
    )


def invalidate(label: Annotation) -> None:
    annotate.invalidate(annotation=label, actor=None, reason="spam")


def prompt_of(label: Annotation) -> Prompt:
    return Prompt.objects.get(written_in=label)


def spoken(prompt: Prompt) -> list[str]:
    return [f"{message['role']}: {message['content']}" for message in prompt.messages]


def waiting(project: Project) -> Counter[str]:
    """How many next turns of each kind tasks ask for and nobody has leased."""
    rows = Task.objects.open().filter(project=project).values_list("kind", "wanted", "taken")
    return sum((Counter({kind: wanted - taken}) for kind, wanted, taken in rows), Counter())


@pytest.fixture
def project() -> Project:
    return new_project()


@pytest.fixture
def growing() -> Project:
    return new_project(tree_turns=4, tree_branches=2, tree_size=10)


@pytest.fixture
def leo(project: Project) -> Labeler:
    return new_labeler(project)


# Prompts to a brief


def test_a_written_prompt_asks_for_its_answer(project: Project, leo: Labeler) -> None:
    assert briefs.ask(project=project, form="use_case", use_case="poems", text="As a poet.", count=2) == 2
    lease = lease_of(leo, project, "prompt")
    assert (lease.task.prompt.messages, lease.task.wanted) == ([], 1)
    assert lease.task.brief == {"form": "use_case", "use_case": "poems", "text": "As a poet."}
    label = write(lease, "  A poem about owls, please. ")
    prompt = prompt_of(label)
    assert prompt.messages == [{"role": "user", "content": "A poem about owls, please."}]
    assert (prompt.origin, prompt.next_role, prompt.root) == ("written", "assistant", None)
    assert (prompt.use_case, prompt.split) == ("poems", "train")
    task = Task.objects.get(prompt=prompt)
    assert (task.kind, task.wanted, task.taken) == ("demonstrate", 1, 0)
    assert Prompt.objects.to_answer().get() == prompt
    # The next one hangs on the same opening.
    assert lease_of(leo, project, "prompt").task.prompt_id == lease.task.prompt_id


def test_few_shot_is_composed(project: Project, leo: Labeler) -> None:
    briefs.ask(project=project, form="few_shot")
    label = write(lease_of(leo, project), FEW_SHOT)
    assert label.answer == FEW_SHOT
    assert prompt_of(label).messages[0]["content"] == (
        "Translate to French.\n\nInput: cat\nOutput: chat\n\n"
        "Input: dog\nOutput: chien\n\nInput: bird\nOutput:"
    )


@pytest.mark.parametrize(
    ("form", "answer", "field"),
    [
        ("plain", {}, "answer.text"),
        ("plain", {"text": " \n"}, "answer.text"),
        ("plain", {"text": 3}, "answer.text"),
        ("plain", FEW_SHOT, "answer.instruction"),
        ("use_case", {"text": "a", "tiers": []}, "answer.tiers"),
        ("few_shot", {"text": "a"}, "answer.text"),
        ("few_shot", {**FEW_SHOT, "instruction": ""}, "answer.instruction"),
        ("few_shot", {**FEW_SHOT, "examples": FEW_SHOT["examples"][:1]}, "answer.examples"),
        ("few_shot", {**FEW_SHOT, "examples": FEW_SHOT["examples"] * 9}, "answer.examples"),
        ("few_shot", {**FEW_SHOT, "examples": "two"}, "answer.examples"),
        ("few_shot", {**FEW_SHOT, "examples": [["cat", "chat"]] * 2}, "answer.examples"),
        ("few_shot", {**FEW_SHOT, "examples": [{"input": "cat"}] * 2}, "answer.examples.0.output"),
        (
            "few_shot",
            {**FEW_SHOT, "examples": [{**FEW_SHOT["examples"][0], "x": 1}] * 2},
            "answer.examples.0.x",
        ),
        ("few_shot", {**FEW_SHOT, "input": None}, "answer.input"),
        ("plain", {"text": "a\x00"}, "answer"),
        ("plain", {"text": "a" * 300_000}, "answer"),
    ],
)
def test_a_prompt_that_is_not_whole(
    project: Project, leo: Labeler, form: str, answer: dict[str, Any], field: str
) -> None:
    briefs.ask(project=project, form=form, use_case="poems")
    with pytest.raises(AnswerError) as refused:
        write(lease_of(leo, project), answer)
    assert refused.value.field == field
    assert not Annotation.objects.exists()


def test_the_same_prompt_is_not_written_twice(project: Project) -> None:
    briefs.ask(project=project, count=3)
    leo, mia = new_labeler(project), new_labeler(project)
    first = write(lease_of(leo, project, "prompt"), "Why is the sky blue?")
    lease = lease_of(mia, project, "prompt")
    for again in ("Why is the sky blue?", " Why is the sky blue?\n"):
        with pytest.raises(AnswerError, match="already") as refused:
            write(lease, again)
    assert refused.value.field == "answer.text"
    other = write(lease, "Why is the grass green?")
    with pytest.raises(AnswerError, match="already"):
        revise(other, "Why is the sky blue?")
    invalidate(first)
    # Taken back, it may be written by somebody else.
    assert prompt_of(revise(other, "Why is the sky blue?")).withdrawn is False


def test_a_brief_may_want_no_answers(project: Project, leo: Labeler) -> None:
    briefs.ask(project=project, demonstrate=False)
    write(lease_of(leo, project))
    assert not Task.objects.filter(kind="demonstrate").exists()


def test_held_out_people_write_held_out_prompts(project: Project) -> None:
    briefs.ask(project=project)
    label = write(lease_of(new_labeler(project, group="heldout"), project))
    assert prompt_of(label).split == Split.HELDOUT


def test_a_revised_prompt_takes_the_place_of_the_old(project: Project, leo: Labeler) -> None:
    briefs.ask(project=project)
    old = write(lease_of(leo, project, "prompt"), "Old words")
    gone = prompt_of(old)
    answered = write(lease_of(new_labeler(project), project, "demonstrate"), "An answer to old words")
    same = revise(old, {"text": "Old words", "comment": "They are fine."})
    assert prompt_of(same) == gone
    assert Annotation.objects.trainable().filter(kind="demonstrate").get() == answered
    new = revise(same, "New words")
    gone.refresh_from_db()
    assert gone.withdrawn
    assert not prompt_of(new).withdrawn
    assert not Annotation.objects.trainable().filter(kind="demonstrate").exists()
    assert waiting(project) == {"demonstrate": 1}
    back = revise(new, "Old words")
    assert prompt_of(back) == gone
    assert Annotation.objects.trainable().filter(kind="demonstrate").get() == answered
    invalidate(back)
    assert not Prompt.objects.to_answer().exists()
    assert waiting(project) == {"prompt": 1}


@pytest.mark.parametrize(
    ("brief", "field"),
    [
        ({"form": "essay"}, "form"),
        ({"form": "use_case"}, "use_case"),
        ({"form": "use_case", "use_case": "x" * 61}, "use_case"),
        ({"text": "x" * 10_001}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"count": 0}, "count"),
        ({"count": 10**9}, "count"),
        ({"setting": "Be kind."}, "setting"),
        ({"prompts": [1]}, "prompts"),
        ({"form": "follow_up", "text": "More"}, "text"),
        ({"form": "follow_up"}, "tree_turns"),
    ],
)
def test_a_bad_brief(project: Project, brief: dict[str, Any], field: str) -> None:
    answer = api_of(project, "owner").post(f"projects/{project.slug}/tasks/", {"kind": "prompt", **brief})
    problem(answer, 400, field=field)


def test_briefs_by_the_api_and_the_command(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"kind": "prompt", "form": "few_shot", "text": "Words", "count": 3, "demonstrate": False}
    owner, leo = api_of(project, "owner"), api_of(project)
    assert owner.post(f"projects/{project.slug}/tasks/", asked).json() == {"made": 3}
    problem(leo.post(f"projects/{project.slug}/tasks/", asked), 403)
    task = leo.next(project)
    assert task["brief"] == {"form": "few_shot", "text": "Words", "demonstrate": False}
    assert (task["kind"], task["prompt"], task["offers"]) == ("prompt", [], ["continue"])
    options = ["--kind", "prompt", "--form", "use_case", "--use-case", "poems", "--count", "2"]
    call_command("make_tasks", "--project", project.slug, *options)
    assert capsys.readouterr().out == "2 new prompt tasks wait for labelers.\n"
    assert Task.objects.filter(brief={"form": "use_case", "use_case": "poems"}).count() == 2
    with pytest.raises(CommandError, match="use_case: Not for rank tasks"):
        call_command("make_tasks", "--project", project.slug, "--kind", "rank", "--use-case", "poems")


# Growth


def test_a_conversation_grows_turn_by_turn(growing: Project) -> None:
    people = [new_labeler(growing) for _ in range(12)]
    briefs.ask(project=growing)
    opening = write(lease_of(people[0], growing), "Hello")
    root = prompt_of(opening)
    assert waiting(growing) == {"demonstrate": 2}
    answer = write(lease_of(people[1], growing), "Hi")
    assert waiting(growing) == {"demonstrate": 1, "prompt": 2}
    after = prompt_of(answer)
    assert (after.root, after.next_role, spoken(after)) == (root, "user", ["user: Hello", "assistant: Hi"])
    more = write(lease_of(people[2], growing, "prompt"), "Tell me more")
    deeper = prompt_of(more)
    assert (deeper.root, spoken(deeper)[2:]) == (root, ["user: Tell me more"])
    last = write(lease_of(people[1], growing, "demonstrate"), "More")
    assert last.task.prompt == root or last.task.prompt == deeper
    while lease := queue.lease_next(labeler=people[3], project=growing, kinds=branching.KINDS):
        write(lease)
        people.append(people.pop(3))
    labels = Annotation.objects.standing()
    assert labels.count() == growing.tree_size
    assert max(len(prompt.messages) for prompt in Prompt.objects.all()) <= growing.tree_turns
    assert all(label.prompts.count() <= 1 for label in labels)
    assert max(Counter(labels.values_list("task__prompt", flat=True)).values()) <= growing.tree_branches


def grown(project: Project, *, depth: int = 3) -> list[Annotation]:
    """A conversation of one branch that people wrote, ``depth`` turns deep."""
    briefs.ask(project=project)
    labels: list[Annotation] = []
    for at in range(depth):
        kind = ("prompt", "demonstrate")[at % 2]
        tasks = Task.objects.open().filter(project=project, kind=kind).order_by("-id")
        with transaction.atomic():
            lease = queue.lease_task(task=tasks[0], labeler=new_labeler(project))
        assert lease is not None
        labels.append(write(lease, f"Turn {at} of {uuid4().hex}"))
    return labels


@pytest.mark.parametrize("how", [invalidate, revise])
def test_a_parent_whose_children_went_grows_again(how: Any) -> None:
    """Open-Assistant's counted rejected children, and such a parent never got another."""
    project = new_project(tree_turns=4, tree_branches=1, tree_size=4)
    opening, answer, more, last = grown(project, depth=4)
    assert waiting(project) == {}
    how(more)
    assert waiting(project) == ({"prompt": 1} if how is invalidate else {"demonstrate": 1})
    how(Annotation.objects.standing().get(task=answer.task))
    assert Annotation.objects.standing().filter(pk=last.pk).exists()
    assert not Annotation.objects.trainable().filter(pk=last.pk).exists()
    assert waiting(project) == ({"demonstrate": 1} if how is invalidate else {"prompt": 1})
    assert not Task.objects.open().filter(prompt__withdrawn=True).exists()


def test_a_turn_that_was_sent_back_makes_room() -> None:
    project = new_project(tree_turns=4, tree_branches=1, tree_size=4)
    opening, answer, more = grown(project, depth=3)
    reviewer = new_labeler(project, role="reviewer")
    task = Task.objects.create(
        project=project,
        kind="review",
        reviewed=answer.task,
        prompt=answer.task.prompt,
        guideline_version=answer.guideline_version,
    )
    lease = lease_of(reviewer, project, "review")
    assert lease.task == task
    decisions = {str(answer.pk): {"verdict": "send_back", "reason": "It is wrong."}}
    write(lease, {"decisions": decisions})
    assert waiting(project) == {"demonstrate": 1}
    assert prompt_of(answer).withdrawn
    assert prompt_of(more).withdrawn
    # Its author mends it: what was said below belonged to the old words.
    better = revise(answer, "Better words")
    assert waiting(project) == {"prompt": 1}
    assert Annotation.objects.standing().filter(pk=better.pk).exists()
    assert prompt_of(more).withdrawn
    assert not prompt_of(better).withdrawn


def test_nothing_is_written_below_what_was_taken_back(growing: Project) -> None:
    opening, answer, more = grown(growing, depth=3)
    lease = lease_of(new_labeler(growing), growing, "prompt")
    assert lease.task.prompt == prompt_of(answer)
    revise(answer, "Other words")
    with pytest.raises(conversations.TakenBack, match="Skip the task"):
        write(lease, "And then?")
    queue.skip(lease_id=lease.pk, labeler=lease.labeler)


def test_no_answer_to_a_prompt_that_was_taken_back(project: Project, leo: Labeler) -> None:
    briefs.ask(project=project)
    label = write(lease_of(leo, project, "prompt"))
    lease = lease_of(new_labeler(project), project, "demonstrate")
    invalidate(label)
    with pytest.raises(conversations.TakenBack):
        write(lease)
    assert not Annotation.objects.filter(kind="demonstrate").exists()


def test_what_was_taken_back_can_still_be_mended(growing: Project) -> None:
    opening, answer, more, last = grown(growing, depth=4)
    revise(answer, "Other words")
    for label in (more, last):
        mended = revise(label, "Mended")
        assert not Annotation.objects.trainable().filter(pk=mended.pk).exists()
    assert not Prompt.objects.filter(withdrawn=False, messages__contains=[{"content": "Mended"}]).exists()


def test_late_turns_are_kept_and_grow_nothing(growing: Project) -> None:
    growing = change_settings(project=growing, tree_branches=1)
    task = new_task(growing, kind="demonstrate", wanted=1)
    late = lease_of(new_labeler(growing), growing)
    Lease.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    queue.sweep()
    write(lease_of(new_labeler(growing), growing, "demonstrate"))
    label = write(late)
    assert label.surplus
    assert not Prompt.objects.filter(written_in=label).exists()
    assert Prompt.objects.filter(root=task.prompt).count() == 1


def test_the_same_answer_twice_is_one_turn(growing: Project) -> None:
    new_task(growing, kind="demonstrate", wanted=2)
    first, second = (write(lease_of(new_labeler(growing), growing, "demonstrate"), "Yes.") for _ in "ab")
    turn = prompt_of(first)
    assert not Prompt.objects.filter(written_in=second).exists()
    invalidate(first)
    turn.refresh_from_db()
    assert (turn.written_in, turn.withdrawn) == (second, False)


def test_the_steps_of_an_agent_are_one_turn() -> None:
    roles = ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert branching.depth([{"role": role} for role in roles]) == 3


def test_two_turns_are_enough_unless_asked(project: Project) -> None:
    task = new_task(project, kind="demonstrate")
    write(lease_of(new_labeler(project), project))
    assert list(Prompt.objects.all()) == [task.prompt]
    assert waiting(project) == {}


def test_raised_limits_are_taken_up_by_follow_ups(project: Project) -> None:
    new_task(project, kind="demonstrate")
    write(lease_of(new_labeler(project), project))
    change_settings(project=project, tree_turns=4, tree_branches=2)
    owner = api_of(project, "owner")
    made = owner.post(f"projects/{project.slug}/tasks/", {"kind": "prompt", "form": "follow_up"})
    # One more answer, and two people to go on from the one that is there.
    assert made.json() == {"made": 3}
    assert waiting(project) == {"prompt": 2, "demonstrate": 1}
    assert conversations.follow_up(project=Project.objects.get(pk=project.pk)) == 0


def test_lowered_limits_take_waiting_tasks_back(growing: Project) -> None:
    opening, answer = grown(growing, depth=2)
    change_settings(project=growing, tree_branches=1)
    invalidate(answer)
    assert waiting(growing) == {"demonstrate": 1}


moves = st.lists(
    st.tuples(st.sampled_from(["write", "invalidate", "revise"]), st.integers(0, 30)), max_size=25
)


@pytest.mark.slow
@given(moves=moves, turns=st.integers(3, 5), branches=st.integers(1, 3), size=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_no_limit_is_passed_and_nothing_starves(
    moves: list[tuple[str, int]], turns: int, branches: int, size: int
) -> None:
    with transaction.atomic():
        project = new_project(tree_turns=turns, tree_branches=branches, tree_size=size)
        briefs.ask(project=project)
        root = prompt_of(write(lease_of(new_labeler(project), project)))
        for how, choice in moves:
            labels = list(
                Annotation.objects.standing()
                .filter(task__prompt__withdrawn=False, kind__in=branching.KINDS)
                .exclude(prompts=root)
                .exclude(task__prompt__messages=[])
            )
            if how == "write":
                if lease := queue.lease_next(
                    labeler=new_labeler(project), project=project, kinds=branching.KINDS
                ):
                    write(lease)
            elif labels:
                {"invalidate": invalidate, "revise": revise}[how](labels[choice % len(labels)])
            check_limits(root, project)
        transaction.set_rollback(True)


def check_limits(root: Prompt, project: Project) -> None:
    tree = [root, *Prompt.objects.filter(root=root, withdrawn=False)]
    labels = Annotation.objects.standing().filter(task__prompt__in=tree)
    held = Counter(labels.values_list("task__prompt", flat=True))
    asked = Counter(
        {
            pk: wanted - taken
            for pk, wanted, taken in Task.objects.open()
            .filter(prompt__in=tree)
            .values_list("prompt", "wanted", "taken")
        }
    )
    assert max(len(prompt.messages) for prompt in tree) <= project.tree_turns
    assert all(held[prompt.pk] + asked[prompt.pk] <= project.tree_branches for prompt in tree)
    # The opening is a turn too.
    assert 1 + held.total() + asked.total() <= max(project.tree_size, 1)
    free = [
        prompt
        for prompt in tree
        if len(prompt.messages) < project.tree_turns and held[prompt.pk] < project.tree_branches
    ]
    if free and 1 + held.total() < project.tree_size:
        assert asked.total() > 0


@pytest.mark.django_db(transaction=True)
def test_turns_that_come_at_once_pass_no_limit() -> None:
    project = new_project(tree_turns=4, tree_branches=3, tree_size=6)
    briefs.ask(project=project)
    root = prompt_of(write(lease_of(new_labeler(project), project)))
    leases = [lease_of(new_labeler(project), project, "demonstrate") for _ in range(3)]
    together = Barrier(3)

    def at_once(lease: Lease) -> Annotation:
        try:
            together.wait(30)
            return write(lease)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        labels = list(pool.map(at_once, leases))
    check_limits(root, project)
    assert waiting(project) == {"prompt": 2}

    def taken_back(label: Annotation) -> None:
        try:
            together.wait(30)
            invalidate(label)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(taken_back, labels))
    check_limits(root, project)
    assert waiting(project) == {"demonstrate": 3}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", [conversations.go_on, conversations.branch])
def test_a_double_click_leases_once(way: Any) -> None:
    project = new_project(tree_turns=4, tree_branches=2)
    new_task(project, kind="demonstrate", wanted=2)
    label = write(lease_of(new_labeler(project), project))
    together = Barrier(4)

    def click(_: int) -> Any:
        try:
            together.wait(30)
            return way(annotation_id=label.pk, labeler=label.labeler).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        leases = set(pool.map(click, range(4)))
    assert len(leases) == 1
    assert Lease.objects.filter(state="open").count() == 1
    assert not Task.objects.filter(taken__gt=F("wanted")).exists()


# The writer's own way on


@pytest.fixture
def mia(growing: Project) -> Api:
    return api_of(growing)


def written_by(api: Api, project: Project, text: str = "") -> int:
    task = api.next(project, kinds=list(branching.KINDS))
    answer = send(api, task, {"text": text or uuid4().hex})
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]


def test_continue_hands_the_next_turn_to_its_author(growing: Project, mia: Api) -> None:
    briefs.ask(project=growing)
    label = written_by(mia, growing, "Hello")
    task = mia.post(f"annotations/{label}/continue/").json()
    assert (task["kind"], [turn["content"] for turn in task["prompt"]]) == ("demonstrate", ["Hello"])
    assert mia.post(f"annotations/{label}/continue/").json()["lease"] == task["lease"]
    label = send(mia, task, {"text": "Hi"}).json()["id"]
    task = mia.post(f"annotations/{label}/continue/").json()
    assert (task["kind"], task["offers"]) == ("prompt", ["continue", "branch"])
    label = send(mia, task, {"text": "How are you?"}).json()["id"]
    task = mia.post(f"annotations/{label}/continue/").json()
    assert task["offers"] == ["branch"]
    label = send(mia, task, {"text": "Fine"}).json()["id"]
    problem(mia.post(f"annotations/{label}/continue/"), 409, words="has its 4 turns")
    problem(api_of(growing).post(f"annotations/{label}/continue/"), 404)


def test_branch_lets_one_person_write_a_second_turn(growing: Project, mia: Api) -> None:
    new_task(growing, kind="demonstrate", wanted=2)
    label = written_by(mia, growing, "Hi")
    task = mia.post(f"annotations/{label}/branch/").json()
    assert task["kind"] == "demonstrate"
    assert mia.post(f"annotations/{label}/branch/").json()["lease"] == task["lease"]
    second = send(mia, task, {"text": "Good day"}).json()["id"]
    assert Annotation.objects.get(pk=second).task.prompt == Annotation.objects.get(pk=label).task.prompt
    problem(mia.post(f"annotations/{second}/branch/"), 409, words="As many people as the project wants")
    assert Task.objects.filter(prompt=Annotation.objects.get(pk=label).task.prompt).count() == 2


def test_where_a_conversation_cannot_go_on(growing: Project, mia: Api) -> None:
    briefs.ask(project=growing, count=2)
    label = written_by(mia, growing)
    problem(mia.post(f"annotations/{label}/branch/"), 409, words="no branches")
    change_settings(project=growing, paused=True)
    problem(mia.post(f"annotations/{label}/continue/"), 409, words="paused")
    change_settings(project=growing, paused=False)
    for _ in range(2):
        assert queue.lease_next(labeler=new_labeler(growing), project=growing, kinds=["demonstrate"])
    problem(mia.post(f"annotations/{label}/continue/"), 409, words="the project wants")
    annotate.invalidate(annotation=Annotation.objects.get(pk=label), actor=None, reason="spam")
    problem(mia.post(f"annotations/{label}/continue/"), 409, words="newest")
    ranked = new_task(growing, kind="rank")
    answer = send(mia, mia.next(growing, kinds=["rank"]))
    problem(mia.post(f"annotations/{answer.json()['id']}/continue/"), 409, words="Only a turn")
    assert ranked.pk


def test_a_project_of_two_turns_goes_no_further(project: Project) -> None:
    api = api_of(project)
    new_task(project, kind="demonstrate")
    label = written_by(api, project)
    for way in ("continue", "branch"):
        problem(api.post(f"annotations/{label}/{way}/"), 409, words="end with the answer")


def test_nobody_hoards_turns(growing: Project, mia: Api) -> None:
    change_settings(project=growing, tree_size=100)
    briefs.ask(project=growing, count=6)
    labels = [written_by(mia, growing) for _ in range(5)]
    answers = [mia.post(f"annotations/{label}/continue/") for label in labels]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 409]


# Settings


def test_settings_by_the_api(project: Project) -> None:
    owner, leo = api_of(project, "owner"), api_of(project)
    sent = {"tree_turns": 6, "tree_branches": 2, "review_share": 0.5, "paused": True, "overlap": 3}
    answer = owner("PATCH", f"projects/{project.slug}/", sent)
    assert answer.status_code == 200
    seen = leo.get(f"projects/{project.slug}/").json()
    assert all(answer.json()[name] == seen[name] == value for name, value in sent.items())
    problem(leo("PATCH", f"projects/{project.slug}/", sent), 403)
    assert owner("PATCH", f"projects/{project.slug}/", {}).json()["tree_turns"] == 6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tree_turns", 1),
        ("tree_turns", 51),
        ("tree_branches", 0),
        ("tree_size", 10**20),
        ("overlap", "many"),
        ("review_share", 1.1),
        ("review_share", -0.1),
        ("lease_seconds", 0),
        ("paused", "perhaps"),
        ("slug", "mine"),
    ],
)
def test_a_bad_setting(project: Project, name: str, value: Any) -> None:
    owner = api_of(project, "owner")
    problem(owner("PATCH", f"projects/{project.slug}/", {name: value}), 400, field=name)
    assert Project.objects.get(pk=project.pk).tree_turns == 2


def test_settings_by_the_command(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("project_settings", "--project", project.slug, "--set", "tree_turns=6", "paused=true")
    assert "tree_turns: 6\n" in capsys.readouterr().out
    for wrong, words in (
        ("tree_turns", "NAME=VALUE"),
        ("tree_turns=x", "tree_turns: "),
        ("x=1", "x: There is no"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("project_settings", "--project", project.slug, "--set", wrong)
    with pytest.raises(ProjectError):
        change_settings(project=project, paused=1)


# What becomes of it


def test_whole_conversations_are_exported(growing: Project) -> None:
    grown(growing, depth=4)
    rows = list(dataset.rows(dataset.freeze(project=growing, kind="demonstrations")))
    roles = [[message["role"] for message in row["messages"]] for row in rows]
    assert sorted(roles, key=len) == [["user", "assistant"], ["user", "assistant"] * 2]
    assert [
        m["content"].split(" of ")[0] for m in max(rows, key=lambda r: len(r["messages"]))["messages"]
    ] == [f"Turn {at}" for at in range(4)]
    prompts = list(dataset.rows(dataset.freeze(project=growing, kind="prompts")))
    assert sorted(len(row["prompt"]) for row in prompts) == [1, 3]
    assert all(row["prompt"][-1]["role"] == "user" for row in prompts)


def test_imported_trees_grow_where_asked() -> None:
    project = new_project(tree_turns=8, tree_branches=1, tree_size=20)
    with shared("oasst-sample/en_100_tree.jsonl") as file:
        rows = list(read_rows(file, file.name))[:20]
    batch = intake.import_demonstrations(project=project, rows=rows, source="oasst")
    assert (batch.tasks_made, waiting(project)) == (0, {})
    other = new_project(tree_turns=8, tree_branches=1, tree_size=20)
    batch = intake.import_demonstrations(project=other, rows=rows, source="oasst", tasks="prompt")
    assert batch.tasks_made == waiting(other)["prompt"] > 20
    lease = lease_of(new_labeler(other), other, "prompt")
    before = lease.task.prompt
    assert before.messages[-1]["role"] == "assistant"
    label = write(lease, "And then?")
    answered = write(lease_of(new_labeler(other), other, "demonstrate"), "Then it ends.")
    assert answered.task.prompt == prompt_of(label)
    assert spoken(answered.task.prompt)[-1] == "user: And then?"
    deep = Prompt.objects.filter(project=other, batch=batch, root=None)
    assert any(len(prompt.messages) > 2 for prompt in deep)
    with pytest.raises(work.WorkError, match="tree_turns"):
        intake.import_demonstrations(project=new_project(), rows=rows, source="oasst", tasks="prompt")


# Cost


def test_queries_of_a_written_turn(growing: Project, mia: Api) -> None:
    new_task(growing, kind="demonstrate", wanted=2)
    label = written_by(mia, growing)
    task = mia.post(f"annotations/{label}/continue/").json()
    with CaptureQueriesContext(connection) as captured:
        assert send(mia, task, {"text": "And then?"}).status_code == 201
    # A test is one transaction, so that what is one outside is a savepoint here.
    statements = [query["sql"] for query in captured if "SAVEPOINT" not in query["sql"]]
    assert len(statements) <= 12, "\n".join(sql[:200] for sql in statements)
