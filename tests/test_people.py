"""The people of a project: how they come in, what they may be handed, how they are paused, ended, erased."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import unquote
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scenes import an_answer, new_labeler, new_project, new_task
from test_api import Api, api_of, problem
from test_queue import across_threads, in_threads

from labeling import annotate, fit, queue
from labeling.models import (
    Annotation,
    ApiToken,
    AuditEntry,
    Draft,
    Invitation,
    Labeler,
    Lease,
    Membership,
    Message,
    Project,
    Task,
)
from labeling.people import audit, erasure, invitations, members, messages, passwords, roster
from labeling.people.desk import waiting
from labeling.people.invitations import LinkOver, State
from labeling.people.members import MemberError

pytestmark = pytest.mark.django_db
PASSWORD = "wide awake owl"


@pytest.fixture
def project() -> Project:
    return new_project(overlap=1)


@pytest.fixture
def owner(project: Project) -> Membership:
    return member(new_labeler(project, role="owner"), project)


def member(labeler: Labeler, project: Project) -> Membership:
    return Membership.objects.select_related("project", "user").get(user=labeler.user, project=project)


def browser(membership: Membership) -> Client:
    client = Client()
    client.force_login(membership.user)
    return client


def path(project: Project, rest: str = "") -> str:
    return f"/projects/{project.slug}/manage/people/{rest}"


def submit(labeler: Labeler, project: Project, **how: object) -> Annotation:
    lease = queue.lease_next(labeler=labeler, project=project)
    return annotate.submit(
        lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer=an_answer(lease), **how
    )


# The queue


def test_a_paused_member_finishes_and_gets_nothing_new(project: Project, owner: Membership) -> None:
    new_task(project), new_task(project)
    mia = new_labeler(project)
    lease = queue.lease_next(labeler=mia, project=project)
    members.pause(manager=owner, labeler=mia, paused=True)
    assert queue.lease_next(labeler=mia, project=project) == lease
    assert queue.lease_next(labeler=mia, project=project, prefetch=True) is None
    submit(mia, project)
    with pytest.raises(fit.Paused):
        queue.lease_next(labeler=mia, project=project)
    members.pause(manager=owner, labeler=mia, paused=False)
    assert queue.lease_next(labeler=mia, project=project) is not None
    deeds = AuditEntry.objects.filter(project=project, target=f"labeler {mia.name}").order_by("pk")
    assert [entry.action for entry in deeds] == ["member.pause", "member.resume"]


def test_a_paused_member_is_told_why(project: Project, owner: Membership) -> None:
    new_task(project)
    mia = new_labeler(project)
    members.pause(manager=owner, labeler=mia, paused=True)
    answer = Api(mia.user).post(f"projects/{project.slug}/next/", {})
    told = problem(answer, 409, words="paused your work")
    assert told["type"] == "urn:tutelage:paused"
    page = browser(member(mia, project)).get("/").content.decode()
    assert "paused your work in it" in page
    assert "Nothing is left to label" not in page


@pytest.mark.parametrize(
    ("asked", "spoken", "is_handed"),
    [
        ("", [], True),
        ("", ["de"], True),
        ("de", [], True),
        ("de", ["de"], True),
        ("DE", ["de"], True),
        ("pt-BR", ["pt"], True),
        ("pt", ["pt-br"], False),
        ("de", ["en", "fr"], False),
        ("deu", ["de"], False),
    ],
)
def test_languages(project: Project, asked: str, spoken: list[str], is_handed: bool) -> None:
    new_task(project, language=asked)
    mia = new_labeler(project)
    Membership.objects.filter(user=mia.user).update(languages=spoken)
    there = waiting(membership=member(mia, project), labeler=mia, kinds=["rank"])
    assert there == {"rank": int(is_handed)}
    assert (queue.lease_next(labeler=mia, project=project) is not None) is is_handed


@pytest.mark.parametrize(
    ("asked", "has", "is_handed"),
    [("", [], True), ("law", [], False), ("law", ["python", "law"], True), ("Law", ["law"], True)],
)
def test_skills(project: Project, asked: str, has: list[str], is_handed: bool) -> None:
    new_task(project, skill=asked)
    mia = new_labeler(project)
    Membership.objects.filter(user=mia.user).update(skills=has)
    assert waiting(membership=member(mia, project), labeler=mia, kinds=["rank"])["rank"] == is_handed
    assert (queue.lease_next(labeler=mia, project=project) is not None) is is_handed


def test_languages_of_one_project_say_nothing_in_another(project: Project) -> None:
    other = new_project()
    mia = new_labeler(project)
    Membership.objects.filter(user=mia.user).update(languages=["de"])
    Membership.objects.create(project=other, user=mia.user, role="labeler")
    task = new_task(other, language="fr")
    assert queue.lease_next(labeler=mia, project=other).task == task


def test_a_fit_costs_no_query(project: Project) -> None:
    mia = new_labeler(project)
    new_task(project)
    with CaptureQueriesContext(connection) as captured:
        queue.lease_next(labeler=mia, project=project)
    assert len(captured) == 6


# Roles and their limits


def test_roles_that_each_may_give(project: Project) -> None:
    given = {
        role: set(members.roles_given_by(Membership(project=project, role=role)))
        for role in Membership.Role.values
    }
    below = {"labeler", "reviewer", "engineer"}
    assert given["owner"] == set(Membership.Role.values)
    assert given["admin"] == below
    assert given["reviewer"] == given["labeler"] == given["engineer"] == set()


def test_an_admin_changes_neither_owners_nor_admins(project: Project, owner: Membership) -> None:
    admin = member(new_labeler(project, role="admin"), project)
    other, leo = new_labeler(project, role="admin"), new_labeler(project)
    for labeler in (other, owner.user.labeler):
        with pytest.raises(PermissionDenied):
            members.pause(manager=admin, labeler=labeler, paused=True)
        with pytest.raises(PermissionDenied):
            members.end(manager=admin, labeler=labeler)
    with pytest.raises(MemberError) as refused:
        members.change(manager=admin, labeler=leo, role="admin")
    assert refused.value.field == "role"
    assert members.change(manager=admin, labeler=leo, role="reviewer").role == "reviewer"


def test_the_last_owner_stays(project: Project, owner: Membership) -> None:
    mine = owner.user.labeler
    with pytest.raises(MemberError, match="last owner"):
        members.end(manager=owner, labeler=mine)
    with pytest.raises(MemberError, match="last owner"):
        members.change(manager=owner, labeler=mine, role="labeler")
    new_labeler(project, role="owner")
    members.change(manager=owner, labeler=mine, role="labeler")


@across_threads
def test_two_owners_at_once_leave_one() -> None:
    project = new_project()
    owners = [member(new_labeler(project, role="owner"), project) for _ in range(2)]

    def demote(i: int) -> str:
        try:
            members.change(manager=owners[i], labeler=owners[1 - i].user.labeler, role="labeler")
        except MemberError as error:
            return error.field
        return ""

    assert sorted(in_threads(2, demote)) == ["", "role"]
    assert Membership.objects.filter(project=project, role="owner").count() == 1


def test_a_change_says_what_changed(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    members.change(manager=owner, labeler=mia, group="heldout", languages="EN, de;en", skills=["Law"])
    changed = member(mia, project)
    assert (changed.group, changed.languages, changed.skills) == ("heldout", ["en", "de"], ["law"])
    entry = AuditEntry.objects.get(action="member.change")
    assert entry.detail["changes"] == {
        "group": ["train", "heldout"],
        "languages": [[], ["en", "de"]],
        "skills": [[], ["law"]],
    }
    members.change(manager=owner, labeler=mia, group="heldout")
    assert AuditEntry.objects.filter(action="member.change").count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "king"}, "role"),
        ({"group": "both"}, "group"),
        ({"languages": "x" * 36}, "languages"),
        ({"skills": ["a\x00b"]}, "skills"),
        ({"skills": ",".join(map(str, range(51)))}, "skills"),
    ],
)
def test_a_bad_change_names_its_field(
    project: Project, owner: Membership, change: dict[str, object], field: str
) -> None:
    with pytest.raises(MemberError) as refused:
        members.change(manager=owner, labeler=new_labeler(project), **change)
    assert refused.value.field == field


def test_a_new_group_holds_for_future_labels(project: Project, owner: Membership) -> None:
    new_task(project), new_task(project)
    mia = new_labeler(project)
    first = submit(mia, project)
    members.change(manager=owner, labeler=mia, group="heldout")
    second = submit(mia, project)
    first.refresh_from_db()
    assert (first.labeler_group, second.labeler_group) == ("train", "heldout")


def test_an_end_gives_leases_back_and_keeps_the_rest(project: Project, owner: Membership) -> None:
    for _ in range(3):
        new_task(project)
    mia = new_labeler(project, role="reviewer")
    label = submit(mia, project)
    lease = queue.lease_next(labeler=mia, project=project)
    annotate.save_draft(lease_id=lease.pk, labeler=mia, answer={"tiers": []}, version=0)
    queue.lease_next(labeler=mia, project=project, prefetch=True)
    link = Invitation.objects.create(
        project=project, digest="d", prefix="p", expires_at=timezone.now() + timedelta(1), actor=mia.user
    )
    assert members.end(manager=owner, labeler=mia) == 2
    assert Lease.objects.get(pk=lease.pk).state == "expired"
    assert sorted(Task.objects.values_list("taken", flat=True)) == [0, 0, 1]
    assert Annotation.objects.valid().get() == label
    assert Draft.objects.filter(labeler=mia).exists()
    link.refresh_from_db()
    assert invitations.state_of(link) == State.REVOKED
    with pytest.raises(Membership.DoesNotExist):
        members.end(manager=owner, labeler=mia)


# Invitations


def test_a_link_makes_a_member_as_it_says(project: Project, owner: Membership) -> None:
    made = invitations.invite(
        manager=owner, role="reviewer", group="heldout", languages="de", skills="law", days=3
    )
    mia = new_labeler()
    joined = invitations.accept(secret=made.secret, user=mia.user)
    assert (joined.role, joined.group, joined.languages, joined.skills) == (
        "reviewer",
        "heldout",
        ["de"],
        ["law"],
    )
    assert Invitation.objects.get().uses == 1
    assert made.secret not in str(Invitation.objects.values().get())
    assert len(made.secret) >= 43
    assert invitations.accept(secret=made.secret, user=mia.user) == joined
    assert Invitation.objects.get().uses == 1


def test_a_link_that_is_over(project: Project, owner: Membership) -> None:
    used, late, gone = (invitations.invite(manager=owner) for _ in range(3))
    invitations.accept(secret=used.secret, user=new_labeler().user)
    Invitation.objects.filter(pk=late.invitation.pk).update(expires_at=timezone.now())
    invitations.revoke(manager=owner, invitation_id=gone.invitation.pk)
    for made, state, words in (
        (used, State.USED, "as many people"),
        (late, State.EXPIRED, "expired"),
        (gone, State.REVOKED, "revoked"),
    ):
        with pytest.raises(LinkOver) as over:
            invitations.accept(secret=made.secret, user=new_labeler().user)
        assert over.value.state == state
        answer = Client().get(f"/join/{made.secret}/")
        assert answer.status_code == 410
        assert words in answer.content.decode()
    answer = Client().get("/join/never-made/")
    assert (answer.status_code, b"This link is not known" in answer.content) == (404, True)
    with pytest.raises(Invitation.DoesNotExist):
        invitations.accept(secret="never-made", user=new_labeler().user)


@across_threads
def test_a_link_is_never_overused() -> None:
    project = new_project()
    owner = member(new_labeler(project, role="owner"), project)
    made = invitations.invite(manager=owner, most_uses=3)
    people = [new_labeler().user for _ in range(10)]

    def join(i: int) -> bool:
        try:
            return bool(invitations.accept(secret=made.secret, user=people[i]))
        except LinkOver:
            return False

    assert sum(map(bool, in_threads(10, join))) == 3
    assert Invitation.objects.get().uses == 3
    assert Membership.objects.filter(project=project, role="labeler").count() == 3


def test_nobody_invites_above_their_own_role(project: Project) -> None:
    admin = member(new_labeler(project, role="admin"), project)
    for role in ("owner", "admin"):
        with pytest.raises(MemberError, match="Only an owner"):
            invitations.invite(manager=admin, role=role)
    batch = invitations.invite_many(manager=admin, text="name,role\nEva,owner\nUdo,labeler\n")
    assert [one["field"] for one in batch.refused] == ["role"]
    assert [one.invitation.name for one in batch.made] == ["Udo"]


def test_three_hundred_people_from_a_csv(project: Project, owner: Membership) -> None:
    rows = "".join(f'Person {i},labeler,train,"en; de",law\n' for i in range(300))
    with CaptureQueriesContext(connection) as captured:
        batch = invitations.invite_many(manager=owner, text=f"name,role,group,languages,skills\n{rows}")
    assert (len(batch.made), batch.refused) == (300, [])
    assert len(captured) < 8
    lines = list(invitations.as_csv(batch.made, address=lambda secret: f"https://owl/join/{secret}/"))
    assert lines[1] == f"Person 0,labeler,train,en; de,law,https://owl/join/{batch.made[0].secret}/\r\n"
    assert len({line.rsplit(",")[-1] for line in lines[1:]}) == 300
    assert invitations.find(batch.made[7].secret).name == "Person 7"


def test_rows_that_are_refused(project: Project, owner: Membership) -> None:
    text = (
        "name,role,group,languages\n"
        "Eva,king,,\n"
        ",,,\n"
        "\n"
        "Udo,,both,\n"
        f"Ida,,,{'x' * 40}\n"
        "Ann,labeler,train,en,what\n"
        "=cmd(),,,\n"
    )
    batch = invitations.invite_many(manager=owner, text=text)
    assert [(one["row"], one["field"]) for one in batch.refused] == [
        (2, "role"),
        (3, "name"),
        (5, "group"),
        (6, "languages"),
        (7, "row"),
    ]
    assert "king" in batch.refused[0]["reason"]
    assert list(invitations.as_csv(batch.made, address=str))[1].startswith("'=cmd()")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name the columns"),
        ("role\nlabeler\n", "name the columns"),
        ("name,shoe\nEva,38\n", "no column 'shoe'"),
        ("name,name\nEva,Eva\n", "twice"),
        ("name\n", "no rows"),
        ("name\n" + "Eva\n" * 2001, "more than 2,000"),
        ("name\x00\nEva", "NUL"),
    ],
)
def test_no_csv_of_people(project: Project, owner: Membership, text: str, words: str) -> None:
    with pytest.raises(MemberError, match=re.escape(words)) as refused:
        invitations.invite_many(manager=owner, text=text)
    assert refused.value.field == "csv"
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"most_uses": 0}, "most_uses"),
        ({"most_uses": 1001}, "most_uses"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
        ({"name": "x" * 151}, "name"),
        ({"role": ""}, "role"),
    ],
)
def test_a_bad_link_names_its_field(
    project: Project, owner: Membership, given: dict[str, object], field: str
) -> None:
    with pytest.raises(MemberError) as refused:
        invitations.invite(manager=owner, **given)
    assert refused.value.field == field


def test_a_newcomer_makes_an_account(project: Project, owner: Membership) -> None:
    link = f"/join/{invitations.invite(manager=owner).secret}/"
    client = Client()
    page = client.get(link)
    assert (page.status_code, page["Cache-Control"], page["Referrer-Policy"]) == (
        200,
        "no-store",
        "same-origin",
    )
    taken = new_labeler().user.username
    for username, password, words in (
        (taken.upper(), PASSWORD, "already exists"),
        ("eva", "short", "too short"),
        ("eva!", PASSWORD, "valid username"),
        ("", PASSWORD, "required"),
    ):
        refused = client.post(link, {"username": username, "password": password})
        assert refused.status_code == 422
        assert words in refused.content.decode()
        assert f'value="{username}"' in refused.content.decode()
    assert not User.objects.filter(username="eva").exists()
    done = client.post(link, {"username": "eva", "password": PASSWORD})
    assert (done.status_code, done["Location"]) == (302, "/")
    assert "Stories" in client.get("/").content.decode()
    assert User.objects.get(username="eva").check_password(PASSWORD)
    refused = Client().post(link, {"username": "udo", "password": PASSWORD})
    assert refused.status_code == 410
    assert not User.objects.filter(username="udo").exists()


def test_who_is_signed_in_joins_with_one_click(project: Project, owner: Membership) -> None:
    link = f"/join/{invitations.invite(manager=owner).secret}/"
    mia = new_labeler()
    client = Client()
    assert f"/accounts/login/?next={link}" in client.get(link).content.decode()
    client.force_login(mia.user)
    assert "Make an account" not in client.get(link).content.decode()
    assert client.post(link)["Location"] == "/"
    assert member(mia, project).role == "labeler"
    assert "member already" in client.get(link).content.decode()


# Passwords


def test_a_reset_link_works_once(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    link = passwords.reset_path(manager=owner, labeler=mia)
    client = Client()
    form = client.get(link, follow=True)
    where = form.redirect_chain[-1][0]
    answer = client.post(where, {"password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 302
    mia.user.refresh_from_db()
    assert mia.user.check_password(PASSWORD)
    assert "invalid" in Client().get(link, follow=True).content.decode()
    entry = AuditEntry.objects.get(action="password.reset")
    assert link.rsplit("-", 1)[-1] not in str(entry.detail)


def test_no_reset_of_an_account_that_can_do_more(project: Project, owner: Membership) -> None:
    root = new_labeler(project)
    User.objects.filter(pk=root.user_id).update(is_superuser=True)
    with pytest.raises(PermissionDenied, match="runs the server"):
        passwords.reset_path(manager=owner, labeler=root)
    mia, other = new_labeler(project), new_project()
    Membership.objects.create(project=other, user=mia.user, role="owner")
    with pytest.raises(PermissionDenied, match="do not own"):
        passwords.reset_path(manager=owner, labeler=mia)
    Membership.objects.create(project=other, user=owner.user, role="owner")
    assert passwords.reset_path(manager=owner, labeler=mia)
    with pytest.raises(Membership.DoesNotExist):
        passwords.reset_path(manager=owner, labeler=new_labeler())


# Messages


def test_a_message_waits_until_it_is_read(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    sent = messages.send(sender=owner, labeler=mia, text="Look at <b>rule 3</b>.")
    client = browser(member(mia, project))
    assert "Look at &lt;b&gt;rule 3&lt;/b&gt;." in client.get("/").content.decode()
    assert (
        browser(member(new_labeler(project), project)).post(f"/messages/{sent.pk}/read/").status_code == 404
    )
    client.post(f"/messages/{sent.pk}/read/")
    assert "rule 3" not in client.get("/").content.decode()
    first = Message.objects.get().read_at
    client.post(f"/messages/{sent.pk}/read/")
    assert Message.objects.get().read_at == first


def test_messages_by_api(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    reviewer, eve = api_of(project, "reviewer"), api_of(project, "labeler")
    where = f"projects/{project.slug}/messages/"
    assert reviewer.post(where, {"labeler": str(mia.pk), "text": "Well done"}).status_code == 201
    problem(eve.post(where, {"labeler": str(mia.pk), "text": "Hi"}), 403)
    problem(reviewer.post(where, {"labeler": str(mia.pk), "text": "x" * 2001}), 400, field="text")
    problem(reviewer.post(where, {"labeler": str(new_labeler().pk), "text": "x"}), 404)
    mine = Api(mia.user)
    [told] = mine.get("messages/").json()["results"]
    assert (told["text"], told["project"]) == ("Well done", project.slug)
    problem(eve.post(f"messages/{told['id']}/read/", {}), 404)
    assert mine.post(f"messages/{told['id']}/read/", {}).json()["read_at"]
    assert mine.get("messages/").json()["results"] == []


# Pseudonyms and erasure


def test_a_pseudonym_is_the_name_everywhere(project: Project, owner: Membership) -> None:
    new_task(project)
    mia = new_labeler(project)
    submit(mia, project, active_seconds=9)
    real = mia.user.username
    erasure.rename(manager=owner, labeler=mia, name="Heron")
    client = browser(owner)
    for page in (
        path(project),
        path(project, f"{mia.pk}/"),
        path(project, "invalidate/"),
        f"/projects/{project.slug}/ledger/",
        f"/api/projects/{project.slug}/ledger/?format=csv",
    ):
        answer = client.get(page)
        shown = b"".join(answer) if answer.streaming else answer.content
        assert b"Heron" in shown, page
        assert real.encode() not in shown, page
    for name in ("", "x" * 151, owner.user.username.upper(), "a\x00"):
        with pytest.raises(MemberError) as refused:
            erasure.rename(manager=owner, labeler=mia, name=name)
        assert refused.value.field == "name"


def test_an_erased_person_is_forgotten(project: Project, owner: Membership) -> None:
    new_task(project), new_task(project)
    client, link = Client(), invitations.invite_many(manager=owner, text="name\nEva Owl\n").made[0]
    client.post(f"/join/{link.secret}/", {"username": "eva.owl", "password": PASSWORD})
    user = User.objects.get(username="eva.owl")
    eva = user.labeler
    User.objects.filter(pk=user.pk).update(email="eva@owl", first_name="Eva")
    label = submit(eva, project)
    lease = queue.lease_next(labeler=eva, project=project)
    annotate.save_draft(lease_id=lease.pk, labeler=eva, answer={"tiers": []}, version=0)
    ApiToken.objects.create(user=user, name="t", prefix="p", digest="d")
    messages.send(sender=owner, labeler=eva, text="Hello")
    members.pause(manager=owner, labeler=eva, paused=True)
    deeds = AuditEntry.objects.filter(project=project).count()
    with pytest.raises(MemberError) as refused:
        erasure.erase(manager=owner, labeler=eva, confirm="eva")
    assert refused.value.field == "confirm"
    erasure.erase(manager=owner, labeler=eva, confirm="eva.owl")
    eva.refresh_from_db()
    assert (eva.user, eva.name) == (None, erasure.pseudonym_of(eva))
    assert Annotation.objects.valid().get() == label
    assert Task.objects.get(pk=lease.task_id).taken == 0
    for model in (Draft, Message, ApiToken):
        assert not model.objects.exists()
    assert client.get("/").status_code == 302
    assert AuditEntry.objects.filter(project=project).count() == deeds + 1
    with connection.cursor() as cursor:
        for model in (User, Labeler, AuditEntry, Invitation, Membership, Message):
            cursor.execute(f"select string_agg(row::text, ' ') from {model._meta.db_table} row")
            (rows,) = cursor.fetchone()
            assert "eva" not in (rows or "").lower(), model
    with pytest.raises(MemberError, match="no account"):
        erasure.erase(manager=owner, labeler=eva, confirm=eva.name)


def test_the_log_changes_for_an_erasure_alone(project: Project, owner: Membership) -> None:
    entry = audit.record(actor=owner.user, action="a.b", target="labeler ada", project=project)
    for change in ({"actor_name": "person-000000000000"}, {"target": "x"}, {"action": "c.d"}, {"detail": {}}):
        with pytest.raises(IntegrityError), transaction.atomic():
            AuditEntry.objects.filter(pk=entry.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.delete()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select set_config('tutelage.erased_name', 'ada', true)")
        cursor.execute("select set_config('tutelage.pseudonym', 'leo', true)")
        with pytest.raises(IntegrityError), transaction.atomic():
            AuditEntry.objects.filter(pk=entry.pk).update(target="labeler leo")


def test_who_may_not_be_erased(project: Project, owner: Membership) -> None:
    me = owner.user.labeler
    with pytest.raises(MemberError, match="last owner"):
        erasure.erase(manager=owner, labeler=me, confirm=me.name)
    mia, other = new_labeler(project), new_project()
    Membership.objects.create(project=other, user=mia.user, role="labeler")
    with pytest.raises(PermissionDenied, match="do not own"):
        erasure.erase(manager=owner, labeler=mia, confirm=mia.name)
    admin = member(new_labeler(project, role="admin"), project)
    with pytest.raises(PermissionDenied):
        erasure.erase(manager=admin, labeler=me, confirm=me.name)
    with pytest.raises(Labeler.DoesNotExist):
        erasure.erase(manager=owner, labeler=new_labeler(), confirm="x")
    new_labeler(project, role="owner")
    erasure.erase(manager=owner, labeler=me, confirm=me.name)
    assert not Membership.objects.filter(project=project, user=owner.user).exists()


def test_an_author_of_guidelines_can_be_erased(project: Project, owner: Membership) -> None:
    from guidelines import publish

    author = new_labeler(project, role="owner")
    publish.publish(guideline=project.guideline, body="# Kinder", author=author.user)
    erasure.erase(manager=owner, labeler=author, confirm=author.name)
    assert project.guideline.current.author.username == erasure.pseudonym_of(author)


# Pages


def test_pages_are_for_managers(project: Project, owner: Membership) -> None:
    mia = new_labeler(project)
    for rest in ("", "invitations/", "invalidate/", f"{mia.pk}/"):
        assert browser(owner).get(path(project, rest)).status_code == 200
        assert browser(member(mia, project)).get(path(project, rest)).status_code == 403
        stranger = Client()
        stranger.force_login(new_labeler().user)
        assert stranger.get(path(project, rest)).status_code == 404
    assert browser(owner).get(path(project, f"{new_labeler().pk}/")).status_code == 404


def test_the_roster_costs_the_same_for_many(project: Project, owner: Membership) -> None:
    client, costs = browser(owner), []
    for n in (1, 6):
        for _ in range(n):
            new_task(project)
            submit(new_labeler(project), project, active_seconds=5)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path(project)).status_code == 200
        costs.append(len(captured))
    assert costs[0] == costs[1] <= 15, "\n".join(query["sql"] for query in captured)


def test_a_person_costs_the_same_for_many_labels(project: Project, owner: Membership) -> None:
    client, costs, mia = browser(owner), [], new_labeler(project)
    for n in (1, 5):
        for _ in range(n):
            new_task(project)
            messages.send(sender=owner, labeler=mia, text="x")
            submit(mia, project, active_seconds=5)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path(project, f"{mia.pk}/")).status_code == 200
        costs.append(len(captured))
    assert costs[0] == costs[1] <= 24, "\n".join(query["sql"] for query in captured)


def test_five_hundred_members(project: Project, owner: Membership) -> None:
    users = User.objects.bulk_create([User(username=f"owl-{i:03}") for i in range(500)])
    Membership.objects.bulk_create([Membership(project=project, user=one, role="labeler") for one in users])
    found = roster.roster(project=project)
    assert (found.paginator.count, len(found.object_list), found.paginator.num_pages) == (501, 100, 6)
    with CaptureQueriesContext(connection) as captured:
        last = roster.roster(project=project, page=6)
    assert len(last.object_list) == 1
    assert len(captured) <= 9
    assert len(roster.roster(project=project, search="owl-12").object_list) == 10
    assert len(roster.roster(project=project, role="owner").object_list) == 1


def test_who_is_no_member_is_found_by_their_labels(project: Project, owner: Membership) -> None:
    new_task(project)
    mia = new_labeler(project)
    submit(mia, project)
    members.end(manager=owner, labeler=mia)
    [former] = roster.roster(project=project, role="former").object_list
    assert (former.labeler, former.membership, former.labels) == (mia, None, 1)
    page = browser(owner).get(path(project, f"{mia.pk}/")).content.decode()
    assert "no member" in page
    assert 'value="change"' not in page


def test_deeds_of_the_persons_page(project: Project, owner: Membership) -> None:
    client, mia = browser(owner), new_labeler(project)
    page = path(project, f"{mia.pk}/")
    client.post(page, {"do": "pause"})
    client.post(page, {"do": "change", "role": "reviewer", "group": "train", "languages": "fi", "skills": ""})
    now = member(mia, project)
    assert (now.paused, now.role, now.languages) == (True, "reviewer", ["fi"])
    refused = client.post(page, {"do": "change", "role": "reviewer", "languages": "x" * 40})
    assert refused.status_code == 422
    assert "longer than 35" in refused.content.decode()
    assert "x" * 40 in refused.content.decode()
    refused = client.post(page, {"do": "message", "text": " "})
    assert (refused.status_code, b"Write what they should know" in refused.content) == (422, True)
    shown = client.post(page, {"do": "reset"})
    assert "/accounts/password/reset/key/" in shown.content.decode()
    assert shown["Cache-Control"] == "no-store"
    assert client.post(page, {"do": "dance"}).status_code == 404
    client.post(page, {"do": "end"})
    assert not Membership.objects.filter(user=mia.user).exists()
    assert client.post(page, {"do": "pause"}).status_code == 404


def test_links_made_on_the_page(project: Project, owner: Membership) -> None:
    client, page = browser(owner), path(project, "invitations/")
    shown = client.post(page, {"do": "link", "role": "labeler", "group": "train", "most_uses": 2, "days": 5})
    [link] = re.findall(r"http://testserver(/join/[\w-]+/)", shown.content.decode())
    assert Client().get(link).status_code == 200
    assert link not in client.get(page).content.decode()
    shown = client.post(page, {"do": "csv", "csv": "name,role\nEva,labeler\nUdo,king\n"}).content.decode()
    [data] = re.findall(r'href="data:text/csv;charset=utf-8,([^"]+)"', shown)
    assert unquote(data).splitlines()[1].startswith("Eva,labeler,train,,,http://testserver/join/")
    assert "1 row was refused" in shown
    refused = client.post(page, {"do": "csv", "csv": "shoe\n38"})
    assert (refused.status_code, b"shoe\n38" in refused.content) == (422, True)
    refused = client.post(page, {"do": "link", "role": "labeler", "group": "train", "most_uses": "many"})
    assert (refused.status_code, b"1 to 1,000 people" in refused.content) == (422, True)
    client.post(page, {"do": "revoke", "invitation": Invitation.objects.earliest("pk").pk})
    assert Invitation.objects.earliest("pk").revoked_at
    elsewhere = new_project()
    other = invitations.invite(manager=member(new_labeler(elsewhere, role="owner"), elsewhere))
    assert client.post(page, {"do": "revoke", "invitation": other.invitation.pk}).status_code == 404


# The API


def test_people_by_api(project: Project) -> None:
    api, mia = api_of(project, "owner"), new_labeler(project)
    people = f"projects/{project.slug}/people/"
    listed = api.get(people).json()
    assert {one["id"] for one in listed["results"]} >= {str(mia.pk)}
    one = f"{people}{mia.pk}/"
    changed = api("PATCH", one, {"role": "reviewer", "languages": ["de"], "paused": True}).json()
    assert (changed["role"], changed["languages"], changed["paused"]) == ("reviewer", ["de"], True)
    problem(api("PATCH", one, {"role": "king"}), 400, field="role")
    problem(api("PATCH", one, {"shoe": 38}), 400, field="shoe")
    assert api.put(f"{one}pseudonym/", {"name": "Heron"}).json()["name"] == "Heron"
    assert "/reset/key/" in api.post(f"{one}password-reset/", {}).json()["link"]
    problem(api.post(f"{one}erase/", {"confirm": "Her"}), 400, field="confirm")
    assert api("DELETE", one).json() == {"leases_given_back": 0}
    problem(api.get(one), 404)
    problem(api.get(f"{people}?role=king"), 400, field="role")
    for role in ("labeler", "reviewer", "engineer"):
        problem(api_of(project, role).get(people), 403)


def test_invitations_by_api(project: Project) -> None:
    api, mia = api_of(project, "admin"), new_labeler()
    where = f"projects/{project.slug}/invitations/"
    made = api.post(where, {"most_uses": 2, "languages": ["fi"]})
    assert made.status_code == 201
    secret = made.json()["link"].rstrip("/").rsplit("/", 1)[-1]
    mine = Api(mia.user)
    assert mine.post("join/", {"secret": secret}).json()["role"] == "labeler"
    problem(mine.post("join/", {"secret": "nothing"}), 404)
    problem(api.post(where, {"role": "owner"}), 400, field="role")
    batch = api.post(f"{where}csv/", {"csv": "name,role\nEva,\nUdo,admin\n"}).json()
    assert (len(batch["made"]), batch["refused"][0]["row"]) == (1, 3)
    problem(api.post(f"{where}csv/", {"csv": "x"}), 400, field="csv")
    listed = api.get(where).json()["results"]
    assert [one["uses"] for one in listed] == [0, 1]
    assert "link" not in listed[0]
    assert api("DELETE", f"{where}{listed[1]['id']}/").json()["state"] == "revoked"
    over = problem(Api(new_labeler().user).post("join/", {"secret": secret}), 409)
    assert over["type"] == "urn:tutelage:link-over"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ("name\nÉva\n".encode(), 200, "1 link"),
        ("\ufeffname\nÉva\n".encode(), 200, "1 link"),
        ("name\nÉva\n".encode("utf-16"), 422, "not UTF-8"),
        (b"x" * (1024 * 1024 + 1), 422, "larger than 1 MB"),
    ],
)
def test_a_file_of_people(
    project: Project, owner: Membership, content: bytes, status: int, words: str
) -> None:
    file = SimpleUploadedFile("people.csv", content)
    shown = browser(owner).post(path(project, "invitations/"), {"do": "csv", "csv": "", "file": file})
    assert (shown.status_code, words in shown.content.decode()) == (status, True)


def test_a_superuser_runs_any_project(project: Project, owner: Membership) -> None:
    root = User.objects.create_superuser("root")
    client, mia = Client(), new_labeler(project)
    client.force_login(root)
    for rest in ("", "invitations/", "invalidate/", f"{mia.pk}/"):
        assert client.get(path(project, rest)).status_code == 200
    client.post(path(project, f"{mia.pk}/"), {"do": "pause"})
    assert member(mia, project).paused
