"""Projects, members and the work that fills their queue."""

import pytest
from django.contrib.auth.models import User

from labeling import queue, work
from labeling.content.texts import text_hash
from labeling.models import ApiToken, Candidate, Completion, Event, Labeler, Membership, Prompt, Task
from labeling.people import projects
from models_zoo.models import Checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return projects.create_project(
        slug="stories",
        name="Stories",
        guideline_title="How to rank",
        guideline_body="Best first.",
        owner=User.objects.create_user("ada"),
        overlap=2,
    )


@pytest.fixture
def checkpoint():
    return Checkpoint.objects.create(name="sft", kind="sft", digest="sha256:1", folder="checkpoints/1")


def prompt_of(project, text="A story, please."):
    messages = [{"role": "user", "content": text}]
    return Prompt.objects.create(project=project, messages=messages, text_hash=text_hash(messages))


def sampled(prompt, *texts):
    return [work.Sampled(prompt=prompt, text=text, seed=at, index=at) for at, text in enumerate(texts)]


def test_create_project(project):
    assert project.guideline.current.body == "Best first."
    assert project.memberships.get().role == Membership.Role.OWNER
    assert Labeler.objects.get().user.username == "ada"


@pytest.mark.parametrize(
    ("field", "change"),
    [("slug", {"slug": "a b"}), ("slug", {}), ("name", {"slug": "other", "name": " "})],
)
def test_create_project_refused(project, field, change):
    asked = {"slug": "stories", "name": "S", "guideline_title": "G", "guideline_body": "B"} | change
    with pytest.raises(projects.ProjectError) as caught:
        projects.create_project(**asked)
    assert caught.value.field == field


def test_member_is_new(project):
    membership, token = projects.create_member(
        project=project, username="sim-1", role="labeler", kind="simulated", group="heldout"
    )
    assert membership.group == "heldout"
    assert membership.user.labeler.kind == Labeler.Kind.SIMULATED
    assert not membership.user.has_usable_password()
    assert token


def test_member_takes_no_token_of_others(project):
    User.objects.create_user("leo")
    membership, token = projects.create_member(project=project, username="leo", role="labeler")
    assert membership.user.username == "leo"
    assert token is None


def test_person_is_no_simulated_labeler(project):
    """Whoever has not labeled yet has no labeler; their account is still not the manager's to use."""
    User.objects.create_superuser("root")
    with pytest.raises(projects.ProjectError) as caught:
        projects.create_member(project=project, username="root", role="labeler", kind="simulated")
    assert caught.value.field == "kind"
    assert not ApiToken.objects.exists()


def test_simulated_member_of_another_project_gives_no_token(project):
    other = projects.create_project(slug="other", name="O", guideline_title="G", guideline_body="B")
    _, first = projects.create_member(project=project, username="sim", role="labeler", kind="simulated")
    _, again = projects.create_member(project=project, username="sim", role="labeler", kind="simulated")
    _, elsewhere = projects.create_member(project=other, username="sim", role="labeler", kind="simulated")
    assert first
    assert again
    assert elsewhere is None


@pytest.mark.parametrize("change", [{"role": "admin"}, {"group": "heldout"}])
def test_member_stays_what_they_are(project, change):
    projects.create_member(project=project, username="leo", role="labeler")
    with pytest.raises(projects.ProjectError) as caught:
        projects.create_member(project=project, username="leo", **{"role": "labeler"} | change)
    assert [caught.value.field] == list(change)
    membership = Membership.objects.get(user__username="leo")
    assert (membership.role, membership.group) == ("labeler", "train")


@pytest.mark.parametrize("field", ["role", "kind", "group"])
def test_member_refused(project, field):
    asked = {"username": "leo", "role": "labeler"} | {field: "king"}
    with pytest.raises(projects.ProjectError) as caught:
        projects.create_member(project=project, **asked)
    assert caught.value.field == field
    assert not User.objects.filter(username="leo").exists()


def test_completions_are_kept_once(project, checkpoint):
    prompt = prompt_of(project)
    for _ in range(2):
        kept = work.add_completions(
            checkpoint=checkpoint, sampling={"temperature": 1.0}, sampled=sampled(prompt, "a", "b\x00")
        )
    assert [each.text for each in kept[prompt]] == ["a", "b\ufffd"]
    assert Completion.objects.count() == 2


def test_rank_tasks_are_made_once(project, checkpoint):
    prompt = prompt_of(project)
    kept = work.add_completions(
        checkpoint=checkpoint, sampling={}, sampled=sampled(prompt, "a", "b", "a", "c")
    )
    made = [
        work.add_tasks(project=project, kind="rank", completions_by_prompt=kept, round_number=number)
        for number in (1, 1, 2)
    ]
    assert made == [1, 0, 1]
    task = Task.objects.filter(round_number=1).get()
    assert (task.wanted, task.guideline_version) == (2, project.guideline.current)
    assert [each.completion.text for each in task.candidates.all()] == ["a", "b", "c"]
    assert [event.reference for event in Event.objects.filter(kind="tasks")] == [{"count": 1}] * 2
    assert queue.lease_next(labeler=Labeler.objects.get(), project=project).task == task


def test_nothing_to_rank(project, checkpoint):
    prompt = prompt_of(project)
    kept = work.add_completions(checkpoint=checkpoint, sampling={}, sampled=sampled(prompt, "a", "a"))
    assert work.add_tasks(project=project, kind="rank", completions_by_prompt=kept) == 0
    assert not Candidate.objects.exists()


def test_rank_refuses_answers_to_another_prompt(project, checkpoint):
    here, there = prompt_of(project), prompt_of(project, "Another.")
    kept = work.add_completions(checkpoint=checkpoint, sampling={}, sampled=sampled(there, "a", "b"))
    with pytest.raises(work.WorkError):
        work.add_tasks(project=project, kind="rank", completions_by_prompt={here: kept[there]})


def test_writing_tasks_are_made_once(project):
    prompts = [prompt_of(project), prompt_of(project, "Another.")]
    assert work.add_demonstrate_tasks(project=project, prompts=prompts[:1]) == 1
    assert work.add_demonstrate_tasks(project=project, prompts=prompts) == 1
    assert work.add_demonstrate_tasks(project=project, prompts=prompts, round_number=2) == 2


def imported(prompt, *texts):
    return [
        Completion.objects.create(prompt=prompt, text=text, text_hash=text_hash(text), index=at)
        for at, text in enumerate(texts)
    ]


def shown(**about):
    """What each task shows, oldest first."""
    tasks = Task.objects.filter(**about).order_by("pk")
    return ["".join(each.completion.text for each in task.candidates.all()) for task in tasks]


@pytest.mark.parametrize(
    ("kind", "texts", "tasks"),
    [
        ("rank", "abca", ["abc"]),
        ("rank", "a", []),
        ("compare", "ba", ["ba"]),
        ("rate", "a", ["a"]),
        ("rate", "abc", ["abc"]),
        ("edit", "abc", ["a", "b", "c"]),
    ],
)
def test_tasks_of_every_kind_are_made_once(project, checkpoint, kind, texts, tasks):
    kept = work.add_completions(
        checkpoint=checkpoint, sampling={}, sampled=sampled(prompt_of(project), *texts)
    )
    made = [
        work.add_tasks(project=project, kind=kind, completions_by_prompt=kept, round_number=number)
        for number in (1, 1, 2)
    ]
    assert made == [len(tasks), 0, len(tasks)]
    assert shown(kind=kind, round_number=1) == tasks


def test_one_kind_does_not_stand_in_for_another(project):
    answers = {(prompt := prompt_of(project)): imported(prompt, "a", "b")}
    for kind in ("rank", "compare", "rate"):
        assert work.add_tasks(project=project, kind=kind, completions_by_prompt=answers) == 1


@pytest.mark.parametrize(
    ("kind", "texts", "field"),
    [
        ("compare", "abc", "completions_by_prompt"),
        ("rank", "abcdefghij", "completions_by_prompt"),
        ("demonstrate", "ab", "kind"),
        ("judge", "ab", "kind"),
    ],
)
def test_tasks_refused(project, kind, texts, field):
    answers = {(prompt := prompt_of(project)): imported(prompt, *texts)}
    with pytest.raises(work.WorkError) as caught:
        work.add_tasks(project=project, kind=kind, completions_by_prompt=answers)
    assert caught.value.field == field
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("kind", "tasks"),
    [
        ("rank", ["abcdefgh", "abcde", "fghij", "ab"]),
        ("compare", ["ab", "cd", "ef", "gh", "ab", "cd", "ef", "gh", "ij", "ab"]),
        ("rate", ["abcdefgh", "abcde", "fghij", "ab", "a"]),
        ("edit", [*"abcdefgh", *"abcdefghij", *"ab", "a"]),
    ],
)
def test_every_answer_is_asked_about_once(project, kind, tasks):
    for texts in ("abcdefgh", "abcdefghij", "ab", "a"):
        imported(prompt_of(project, texts), *texts)
    assert work.make_tasks(project=project, kind=kind) == len(tasks)
    assert shown(kind=kind) == tasks
    assert work.make_tasks(project=project, kind=kind) == 0
    assert set(Task.objects.values_list("selection_policy", "propensity")) == {("all", 1.0)}


def test_answers_that_come_later_are_asked_about_among_themselves(project, checkpoint):
    imported(prompt := prompt_of(project), "a", "b")
    work.make_tasks(project=project, kind="rank")
    imported(prompt, "c")
    assert work.make_tasks(project=project, kind="rank") == 0
    # The checkpoint says what is ranked already: the same words are one answer.
    work.add_completions(checkpoint=checkpoint, sampling={}, sampled=sampled(prompt, "a", "d"))
    assert work.make_tasks(project=project, kind="rank") == 1
    assert shown() == ["ab", "cd"]


def test_tasks_of_chosen_prompts(project, monkeypatch):
    monkeypatch.setattr(work, "BATCH", 2)
    prompts = [prompt_of(project, str(at)) for at in range(5)]
    for prompt in prompts:
        imported(prompt, "a", "b")
    chosen = [prompt.pk for prompt in prompts[:3]]
    assert work.make_tasks(project=project, kind="compare", prompts=chosen) == 3
    assert work.make_tasks(project=project, kind="compare", prompts=[]) == 0
    other = projects.create_project(slug="other", name="O", guideline_title="G", guideline_body="B")
    with pytest.raises(work.WorkError) as caught:
        work.make_tasks(project=other, kind="compare", prompts=chosen)
    assert caught.value.field == "prompts"
    assert work.make_tasks(project=other, kind="compare") == 0
    assert work.make_tasks(project=project, kind="compare") == 2


def test_text_hash():
    assert text_hash("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    message = {"role": "user", "content": "é"}
    assert text_hash([message]) == text_hash([dict(reversed(message.items()))])
    assert text_hash([message]) != text_hash([message, message])
