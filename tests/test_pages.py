"""The engineers' and readers' pages: who sees them, what they say, how many queries they take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from scenes import an_answer, new_labeler, new_project, new_task

from guidelines import publish
from labeling import annotate, queue
from labeling.content.texts import text_hash
from labeling.datasets import dataset
from labeling.incoming import intake
from labeling.models import Annotation, Completion, Labeler, Membership, Project, Prompt
from models_zoo import store
from models_zoo.models import Checkpoint
from rlhf.checkpoints import comparison, endings
from rlhf.models import Loop, Metric, Round, RoundStep, Run, RunInput
from rlhf.rounds import picture

SFT = Path(__file__).resolve().parents[1] / "models_zoo" / "pocket_stories" / "sft"
pytestmark = pytest.mark.django_db
REWARD = {
    "agreement": 0.71,
    "agreement_low": 0.62,
    "agreement_high": 0.8,
    "pairs": 90,
    "groups": 15,
    "weighted_agreement": 0.78,
    "weighted_agreement_low": 0.64,
    "weighted_agreement_high": 0.92,
}


@pytest.fixture
def project() -> Project:
    return new_project()


@pytest.fixture
def owner(project: Project) -> Client:
    return visitor(project, "owner")


def visitor(project: Project | None, role: str = "") -> Client:
    """A browser of a member with ``role``; without a project, of somebody who is a member of nothing."""
    client = Client()
    client.force_login(new_labeler(project, role=role or "labeler").user)
    return client


def label(project: Project, n: int, labeler: Labeler | None = None) -> None:
    labeler = labeler or new_labeler(project)
    for _ in range(n):
        new_task(project)
    for _ in range(n):
        lease = queue.lease_next(labeler=labeler, project=project)
        annotate.submit(lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer=an_answer(lease))


def checkpoint(
    name: str, kind: str = "policy", parent: Checkpoint | None = None, **figures: float
) -> Checkpoint:
    return Checkpoint.objects.create(
        name=name, kind=kind, parent=parent, digest=f"sha256:{name}", folder=f"store/{name}", figures=figures
    )


def answers(project: Project, *checkpoints: Checkpoint, n: int = 2) -> None:
    """Held-out prompts that all the checkpoints answered."""
    for i in range(n):
        messages = [{"role": "user", "content": f"Tell me about owl {i}"}]
        prompt = Prompt.objects.create(
            project=project, messages=messages, text_hash=text_hash(messages), split="heldout"
        )
        for each in checkpoints:
            text = f"The owl of {each.name}."
            Completion.objects.create(
                prompt=prompt, text=text, text_hash=text_hash(text), checkpoint=each, seed=1
            )


@pytest.fixture
def done(project: Project) -> Round:
    """A finished round of a project with six labels, its runs and a checkpoint that waits for a decision."""
    base = checkpoint("base", "base")
    sft = checkpoint("sft", "sft", base)
    project.current_checkpoint = sft
    project.save()
    label(project, 6)
    turn = Round.objects.create(
        project=project,
        number=1,
        kind="preferences",
        state="done",
        label_target=6,
        guideline_version=project.guideline.current,
        checkpoint_before=sft,
        started_at=timezone.now(),
        finished_at=timezone.now(),
    )
    frozen = dataset.freeze(project=project, kind="preferences")
    runs = {}
    for name, result in (("reward", REWARD), ("ppo", {"kl_per_sequence": 4.1})):
        made = checkpoint(f"{project.slug}-r1-{name}", "reward" if name == "reward" else "policy", sft)
        runs[name] = Run.objects.create(
            project=project,
            round=turn,
            algorithm=name,
            state="done",
            result=result,
            output=made,
            dataset=frozen if name == "reward" else None,
            config={"seed": 3, "knobs": {}},
            started_at=timezone.now(),
            finished_at=timezone.now(),
            cpu_seconds=59,
        )
        RunInput.objects.create(run=runs[name], role="policy", checkpoint=sft)
    for n, name in enumerate(("freeze", "reward", "ppo", "sample", "evaluate", "tasks"), 1):
        RoundStep.objects.create(
            round=turn,
            ordinal=n,
            name=name,
            state="done",
            run=runs.get(name),
            dataset=frozen if name == "freeze" else None,
        )
    Round.objects.create(project=project, number=2, kind="preferences", label_target=6)
    Loop.objects.create(project=project)
    turn.checkpoint_after = runs["ppo"].output
    turn.checkpoint_after.figures = {
        "against": {
            "checkpoint": "sft",
            "win_rate": 0.83,
            "answers": 48,
            "endings": {"before": {"happy": 0.33, "sad": 0.29}, "after": {"happy": 0.97, "sad": 0.0}},
        }
    }
    turn.checkpoint_after.save()
    turn.save()
    answers(project, sft, turn.checkpoint_after)
    ppo = runs["ppo"]
    Metric.objects.create(run=ppo, n=0, step=1, values={"reward": 0.25, "kl": 1.5})
    ppo.directory.mkdir(parents=True)
    rollout = {"step": 1, "prompt": [{"role": "user", "content": "A fox?"}], "completion": "A <b>fox</b>."}
    rollout |= {"reward": 1.25, "kl": 0.5, "length": 7, "finished": True}
    (ppo.directory / "rollouts.jsonl").write_text(json.dumps(rollout) + "\n")
    (ppo.directory / "log.txt").write_text("10:00:00 update 1\n")
    return turn


def pages(project: Project, turn: Round) -> dict[str, str]:
    """Address of each page, by who may open it."""
    made = turn.checkpoint_after
    return {
        f"/projects/{project.slug}/": "member",
        reverse("guidelines:guideline", args=[project.guideline.slug]): "member",
        reverse("guidelines:version", args=[project.guideline.slug, 1]): "member",
        reverse("guidelines:edit", args=[project.guideline.slug]): "manager",
        reverse("rlhf:rounds", args=[project.slug]): "engineer",
        reverse("rlhf:round", args=[project.slug, 1]): "engineer",
        reverse("rlhf:runs", args=[project.slug]): "engineer",
        reverse("rlhf:run", args=[made.made_by.pk]): "engineer",
        reverse("rlhf:checkpoints", args=[project.slug]): "engineer",
        reverse("rlhf:checkpoint", args=[made.pk]): "engineer",
        reverse("rlhf:datasets", args=[project.slug]): "engineer",
    }


OPENS = {
    "owner": {"member", "manager", "engineer"},
    "admin": {"member", "manager", "engineer"},
    "engineer": {"member", "engineer"},
    "reviewer": {"member"},
    "labeler": {"member"},
}


@pytest.mark.parametrize("role", OPENS)
def test_opens_by_role(project: Project, done: Round, role: str) -> None:
    client = visitor(project, role)
    for address, needed in pages(project, done).items():
        expected = 200 if needed in OPENS[role] else 403 if needed == "manager" else 404
        assert client.get(address).status_code == expected, (role, address)


def test_hidden_from_others(project: Project, done: Round) -> None:
    elsewhere = visitor(new_project(), "owner")
    for address in pages(project, done):
        assert elsewhere.get(address).status_code == 404, address
        anonymous = Client().get(address)
        assert (anonymous.status_code, anonymous.url.split("?")[0]) == (302, "/accounts/login/"), address


def test_changes_only_by_engineers(project: Project, done: Round) -> None:
    client = visitor(project, "labeler")
    for name, arguments in (
        ("change_round", [project.slug, 1, "promote"]),
        ("auto_start", [project.slug]),
        ("freeze", [project.slug]),
        ("change_run", [done.runs.first().pk, "stop"]),
    ):
        assert client.post(reverse(f"rlhf:{name}", args=arguments)).status_code == 404, name
    done.refresh_from_db()
    assert done.decision == ""


def test_labelers_are_blind(project: Project, done: Round) -> None:
    """A labeler sees the loop, but neither names nor answers of checkpoints."""
    page = visitor(project, "labeler").get(f"/projects/{project.slug}/").content.decode()
    assert 'id="station-checkpoint"' in page
    assert "sft" not in page
    assert "The owl of" not in page


@pytest.mark.parametrize(
    "address",
    [
        "/projects/nowhere/",
        "/projects/{slug}/rounds/99/",
        "/projects/{slug}/rounds/99999999999999999999999/",
        "/runs/00000000-0000-0000-0000-000000000000/",
        "/runs/not-a-run/",
        "/checkpoints/999999999999999999999/",
        "/guidelines/{slug}/77/",
        "/guidelines/nowhere/",
    ],
)
def test_unknown_is_404(project: Project, owner: Client, address: str) -> None:
    assert owner.get(address.format(slug=project.slug)).status_code == 404


@pytest.mark.parametrize("odd", ["-1", "0", "x", "%00", "9" * 40, "1e9", "½", "²"])
def test_odd_query_is_harmless(project: Project, done: Round, owner: Client, odd: str) -> None:
    made = done.checkpoint_after
    for address in (
        f"/projects/{project.slug}/runs/?page={odd}",
        f"/projects/{project.slug}/checkpoints/?page={odd}",
        f"/projects/{project.slug}/datasets/?page={odd}",
        f"/runs/{made.made_by.pk}/?step={odd}",
        f"/checkpoints/{made.pk}/?from={odd}&project={odd}",
    ):
        assert owner.get(address).status_code == 200, address


def test_odd_forms_are_refused_in_words(project: Project, done: Round, owner: Client) -> None:
    for address, form, words in (
        (reverse("rlhf:freeze", args=[project.slug]), {"kind": "nonsense"}, "Must be one of"),
        (reverse("rlhf:change_round", args=[project.slug, 1, "start"]), {}, "only one that gathers labels"),
        (reverse("rlhf:change_round", args=[project.slug, 1, "restart"]), {"step": "x"}, "no step"),
        (reverse("rlhf:change_run", args=[done.runs.first().pk, "stop"]), {}, "already"),
    ):
        answer = owner.post(address, form, follow=True)
        assert answer.status_code == 200
        assert words in str(list(answer.context["messages"])[0]), address
    assert owner.post(reverse("rlhf:change_round", args=[project.slug, 1, "explode"])).status_code == 404


def test_home_takes_few_queries(
    project: Project, done: Round, owner: Client, django_assert_max_num_queries
) -> None:
    """The same few for ten times the labels, tasks, rounds and members."""
    with django_assert_max_num_queries(20) as small:
        owner.get(f"/projects/{project.slug}/")
    label(project, 30)
    for n in range(3, 10):
        turn = Round.objects.create(
            project=project, number=n, kind="preferences", state="done", label_target=6, decision="refused"
        )
        RoundStep.objects.create(round=turn, ordinal=1, name="freeze")
    with django_assert_max_num_queries(len(small.captured_queries)):
        assert owner.get(f"/projects/{project.slug}/").status_code == 200


def test_home_loads_no_label(
    project: Project, done: Round, owner: Client, django_assert_max_num_queries
) -> None:
    with django_assert_max_num_queries(20) as taken:
        owner.get(f"/projects/{project.slug}/")
    rows = [
        query["sql"]
        for query in taken.captured_queries
        if re.search(r'SELECT (DISTINCT )?"labeling_(annotation|task|lease)"\."id"', query["sql"])
    ]
    assert rows == []


@pytest.mark.parametrize(
    ("name", "most"), [("rounds", 12), ("round", 14), ("runs", 10), ("checkpoints", 12), ("datasets", 10)]
)
def test_lists_take_few_queries(
    project: Project, done: Round, owner: Client, django_assert_max_num_queries, name: str, most: int
) -> None:
    arguments = [project.slug, 1] if name == "round" else [project.slug]
    for n in range(20):
        made = checkpoint(f"extra-{n}", parent=done.checkpoint_after)
        Run.objects.create(project=project, round=done, algorithm="ppo", state="done", output=made)
        dataset.freeze(project=project, kind="preferences")
    with django_assert_max_num_queries(most):
        assert owner.get(reverse(f"rlhf:{name}", args=arguments)).status_code == 200


def test_home_shows_before_and_after(project: Project, done: Round, owner: Client) -> None:
    page = re.sub(r"</?mark>", "", owner.get(f"/projects/{project.slug}/").content.decode())
    assert "The owl of sft." in page
    assert f"The owl of {project.slug}-r1-ppo." in page
    assert "83\u202f%" in page
    assert re.search(r"Happy endings.*?33\u202f% →.*?97\u202f%", page, re.DOTALL)
    assert 'id="promote"' in page


def test_compares_answers_of_the_same_seed(project: Project, done: Round) -> None:
    """A checkpoint that answered again in a later round is still compared where chance was the same."""
    after = done.checkpoint_after
    prompt = Prompt.objects.filter(split="heldout").earliest("pk")
    for seed, of in ((0, after), (2, project.current_checkpoint)):
        Completion.objects.create(prompt=prompt, text="chance", text_hash="x", checkpoint=of, seed=seed)
    first = comparison.pairs(project=project, before=done.checkpoint_before, after=after)[0]
    assert (first.prompt, first.before.seed, first.after.seed) == (prompt, 1, 1)


def test_endings_of_stories_only(project: Project) -> None:
    answers(project, checkpoint("policy"))
    told = {completion.prompt: [completion] for completion in Completion.objects.all()}
    assert endings.shares(told) is None
    for prompt in told:
        prompt.metadata = {"words": ["owl", "map"]}
    assert endings.shares(told) == {"happy": 0, "sad": 0}
    for [completion] in told.values():
        completion.text = "An owl had a map. They were best friends."
    assert endings.shares(told) == {"happy": 1, "sad": 0}


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ("A fox ran home.", "A fox ran home.", []),
        ("A fox ran home and cried.", "A fox ran home and sang.", ["sang."]),
        ("One two three.", "Nothing alike here at all.", []),
        ("A  fox\nran.", "A  fox\nhopped and ran.", ["hopped and ran."]),
        ("", "", []),
    ],
)
def test_marks_new_words(before: str, after: str, new: list[str]) -> None:
    pair = comparison.Pair(Prompt(), Completion(text=before), Completion(text=after))
    assert "".join(piece for piece, _ in pair.words) == after
    assert [piece for piece, is_new in pair.words if is_new] == new


def test_promotes_by_hand(project: Project, done: Round, owner: Client) -> None:
    address = reverse("rlhf:change_round", args=[project.slug, 1, "promote"])
    page = owner.post(address, {"from": "home"}, follow=True).content.decode()
    project.refresh_from_db()
    assert project.current_checkpoint == done.checkpoint_after
    assert "promoted by hand: ungated" in page


def test_refuses_with_a_reason(project: Project, done: Round, owner: Client) -> None:
    address = reverse("rlhf:change_round", args=[project.slug, 1, "refuse"])
    page = owner.post(address, {"reason": "It repeats <itself>."}, follow=True).content.decode()
    project.refresh_from_db()
    assert project.current_checkpoint.name == "sft"
    assert "It repeats &lt;itself&gt;." in page


def test_switches_auto_start(project: Project, owner: Client) -> None:
    address = reverse("rlhf:auto_start", args=[project.slug])
    assert 'aria-checked="true"' in owner.post(address, {"on": "1"}, follow=True).content.decode()
    assert 'aria-checked="false"' in owner.post(address, {"on": "0"}, follow=True).content.decode()


def test_button_waits_for_labels(project: Project, owner: Client) -> None:
    project.current_checkpoint = Checkpoint.objects.create(
        name="sft", kind="sft", digest=store.digest(SFT), folder=str(SFT)
    )
    project.save()
    Round.objects.create(project=project, number=1, kind="preferences", label_target=3)
    label(project, 2)
    page = owner.get(f"/projects/{project.slug}/").content.decode()
    assert re.search(r'id="run-the-round" disabled', page)
    assert "1 more ranking to go." in page
    label(project, 1)
    page = owner.get(f"/projects/{project.slug}/").content.decode()
    assert not re.search(r'id="run-the-round" disabled', page)
    assert "Round 1 is due." in page
    owner.post(reverse("rlhf:change_round", args=[project.slug, 1, "start"]), {"from": "home"})
    page = owner.get(f"/projects/{project.slug}/").content.decode()
    assert "Round 1 is training." in page
    assert re.search(r'id="run-the-round" disabled', page)


def test_weak_reward_model_is_explained(project: Project, done: Round, owner: Client) -> None:
    done.steps.filter(ordinal__gte=3).update(state="waiting", run=None)
    done.state, done.checkpoint_after, done.reason = "stopped", None, "It agrees in 52% of 90 pairs."
    done.save()
    page = owner.get(f"/projects/{project.slug}/").content.decode()
    assert "Round 1 was held back." in page
    assert "It agrees in 52% of 90 pairs." in page
    assert 'id="train-anyway"' in page
    owner.post(reverse("rlhf:change_round", args=[project.slug, 1, "start"]), {"force": "1"})
    done.refresh_from_db()
    assert (done.state, done.forced) == ("training", True)


def test_failed_step_is_told(project: Project, done: Round, owner: Client) -> None:
    done.steps.filter(name="ppo").update(state="failed", detail="the disk is full; free some space")
    done.steps.filter(ordinal__gt=3).update(state="waiting")
    done.state, done.reason = "stopped", "the disk is full; free some space"
    done.save()
    page = owner.get(f"/projects/{project.slug}/").content.decode()
    assert "Round 1 failed: train the policy." in page
    assert 'id="train-anyway"' not in page
    page = owner.get(f"/projects/{project.slug}/rounds/1/").content.decode()
    assert 'id="restart-ppo"' in page


@pytest.mark.parametrize(
    ("state", "says"), [("stopped", "was stopped"), ("running", "goes on"), ("failed", "failed")]
)
def test_tells_stopped_from_failed(project: Project, done: Round, state: str, says: str) -> None:
    done.steps.filter(name="ppo").update(state="failed", detail="stopped by hand")
    Run.objects.filter(algorithm="ppo").update(state=state)
    done.state, done.reason = "stopped", "stopped by hand"
    done.save()
    assert f"Round 1 {says}" in picture.limits(picture.read(project)).title


@pytest.mark.parametrize(("labels", "paused", "says"), [(0, False, "no task is open"), (2, True, "paused")])
def test_says_what_limits(project: Project, labels: int, paused: bool, says: str) -> None:
    Round.objects.create(project=project, number=1, kind="preferences", label_target=9)
    for _ in range(labels):
        new_task(project)
    project.paused = paused
    assert says in picture.limits(picture.read(project)).title


def test_invalid_labels_do_not_count(project: Project) -> None:
    label(project, 2)
    first = Annotation.objects.first()
    annotate.invalidate(annotation=first, actor=User.objects.create_user("ada"), reason="spam")
    assert picture.read(project).rankings == 1


def test_imported_labels_are_nobodys_work(project: Project, owner: Client) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    intake.import_demonstrations(project=project, rows=[row], source="greetings")
    found = picture.read(project)
    assert (found.demonstrations, found.imported) == (0, 1)
    assert "1 imported" in owner.get(reverse("rlhf:project", args=[project.slug])).content.decode()


def test_run_page_is_whole(project: Project, done: Round, owner: Client) -> None:
    made = done.checkpoint_after
    page = owner.get(f"/runs/{made.made_by.pk}/").content.decode()
    assert "10:00:00 update 1" in page
    assert "A &lt;b&gt;fox&lt;/b&gt;." in page
    assert 'data-key="reward"' in page
    assert f"/checkpoints/{made.pk}/" in page
    assert "updates" in page


def test_run_page_of_a_broken_folder(project: Project, done: Round, owner: Client) -> None:
    run = done.checkpoint_after.made_by
    (run.directory / "rollouts.jsonl").write_bytes(
        b'{"step": 1, "comp\n\xff\xfe\x00\nnull\n[1]\n{"step": "x"}\n'
    )
    (run.directory / "progress.json").write_text("{")
    (run.directory / "log.txt").write_bytes(b"\xff\xfe half a character")
    run.config = {"knobs": {"unknown": 1}}
    run.save()
    assert owner.get(f"/runs/{run.pk}/").status_code == 200
    for file in run.directory.iterdir():
        file.unlink()
    assert owner.get(f"/runs/{run.pk}/").status_code == 200


def test_checkpoint_page_tells_where_it_comes_from(project: Project, done: Round, owner: Client) -> None:
    page = owner.get(f"/checkpoints/{done.checkpoint_after.pk}/").content.decode()
    chain = re.search(r'<nav class="chain".*?</nav>', page, re.DOTALL).group()
    assert chain.index("base") < chain.index("sft") < chain.index("r1-ppo")
    assert "The owl of sft." in page
    labels = re.search(r"<dt>labels</dt>.*?</dd>", page, re.DOTALL).group()
    assert re.sub(r"<[^>]+>|\s+", " ", labels).split() == ["labels", "6", "preferences,", "dataset", "1"]


def test_checkpoint_of_another_project_is_hidden(project: Project, done: Round) -> None:
    other = new_project()
    stranger = checkpoint("stranger")
    other.current_checkpoint = stranger
    other.save()
    client = visitor(project, "owner")
    assert client.get(f"/checkpoints/{stranger.pk}/").status_code == 404


def test_freezes_from_the_page(project: Project, done: Round, owner: Client) -> None:
    page = owner.post(
        reverse("rlhf:freeze", args=[project.slug]), {"kind": "preferences"}, follow=True
    ).content.decode()
    assert 'id="dataset-2"' in page
    assert "form=pairs&amp;format=parquet" in page


def test_publishes_with_effects(project: Project, owner: Client) -> None:
    task = new_task(project)
    address = reverse("guidelines:edit", args=[project.guideline.slug])
    assert "1 open task that nobody has begun is re-issued" in owner.get(address).content.decode()
    form = {"body": "# Be kinder\r\n<script>alert(1)</script>", "note": "warmer", "based_on": "1"}
    page = owner.post(address, form, follow=True).content.decode()
    assert "Version 2 is published." in page
    assert "<script>alert" not in page
    assert "<del>kind</del><ins>kinder" in page
    task.refresh_from_db()
    assert task.guideline_version.number == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body": "  "}, "no text"),
        ({"body": "# Be kind"}, "Nothing differs"),
        ({"body": "a\x00b"}, "NUL"),
        ({"body": "x" * 200_001}, "longer than"),
        ({"note": "n" * 301}, "longer than 300"),
        ({"based_on": "0"}, "published while you wrote"),
    ],
)
def test_refuses_a_bad_version(project: Project, owner: Client, change: dict[str, str], words: str) -> None:
    address = reverse("guidelines:edit", args=[project.guideline.slug])
    answer = owner.post(address, {"body": "# Be kinder", "note": "", "based_on": "1", **change})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert project.guideline.versions.count() == 1


def test_publishing_needs_every_project(project: Project, owner: Client) -> None:
    """Who manages one of two projects under a guideline may not change the rules of the other."""
    shared = new_project()
    shared.guideline = project.guideline
    shared.save()
    assert owner.get(reverse("guidelines:edit", args=[project.guideline.slug])).status_code == 403


def test_superuser_sees_everything(project: Project, done: Round) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    for address in pages(project, done):
        assert client.get(address).status_code == 200, address


def test_guideline_preview_is_safe(project: Project, owner: Client) -> None:
    address = reverse("guidelines:preview", args=[project.guideline.slug])
    html = owner.post(
        address, {"body": "# Hi\n<img src=x onerror=alert(1)> [a](javascript:alert(1))"}
    ).content
    assert b"<h1>Hi</h1>" in html
    assert b"<img" not in html
    assert b'href="javascript' not in html


def test_older_version_says_so(project: Project, owner: Client) -> None:
    publish.publish(guideline=project.guideline, body="# Be kinder")
    page = owner.get(reverse("guidelines:version", args=[project.guideline.slug, 1])).content.decode()
    assert "This is not the newest version." in page


def test_no_member_without_membership(project: Project) -> None:
    client = visitor(None)
    assert not Membership.objects.filter(user_id=client.session["_auth_user_id"]).exists()
    assert client.get(f"/projects/{project.slug}/").status_code == 404
