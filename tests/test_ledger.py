"""The ledger of time: what counts on which day, corrections, and who sees what."""

from __future__ import annotations

import csv
import json
import uuid
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scenes import an_answer, new_labeler, new_project, new_task

from labeling import annotate, queue
from labeling.models import Annotation, Labeler, Lease, Membership, Project, TimeCorrection
from labeling.people import ledger
from labeling.people.desk import desk

pytestmark = pytest.mark.django_db
TODAY = "2026-11-20"


@pytest.fixture
def project() -> Project:
    return new_project(overlap=3)


@pytest.fixture
def mia(project: Project) -> Labeler:
    return new_labeler(project)


def at(day: str, hour: int = 12) -> datetime:
    return timezone.make_aware(datetime.fromisoformat(f"{day}T{hour:02}:00"))


def worked(project: Project, labeler: Labeler, *, day: str, seconds: float, kind: str = "rank") -> Annotation:
    new_task(project, kind=kind)
    lease = queue.lease_next(labeler=labeler, project=project, kinds=[kind])
    label = annotate.submit(
        lease_id=lease.pk,
        labeler=labeler,
        submission_id=uuid.uuid4(),
        answer=an_answer(lease),
        active_seconds=seconds,
    )
    Lease.objects.filter(pk=lease.pk).update(opened_at=at(day))
    return label


def skipped(project: Project, labeler: Labeler, *, day: str, seconds: float) -> None:
    new_task(project)
    lease = queue.lease_next(labeler=labeler, project=project)
    queue.renew(lease_id=lease.pk, labeler=labeler, active_seconds=seconds)
    queue.skip(lease_id=lease.pk, labeler=labeler)
    Lease.objects.filter(pk=lease.pk).update(opened_at=at(day))


def listed(
    project: Project, since: str = "2026-11-01", until: str = TODAY, **more: Any
) -> list[tuple[Any, ...]]:
    found = ledger.ledger(
        project=project, since=date.fromisoformat(since), until=date.fromisoformat(until), **more
    )
    return [
        (row.name, str(row.day), row.kind, row.labels, row.skips, row.active_seconds, row.corrected_seconds)
        for row in found.rows
    ]


def test_days_kinds_and_people(project: Project, mia: Labeler):
    leo = new_labeler(project)
    for seconds in (60, 90.4):
        worked(project, mia, day="2026-11-02", seconds=seconds)
    worked(project, mia, day="2026-11-02", seconds=30, kind="demonstrate")
    skipped(project, mia, day="2026-11-03", seconds=20)
    worked(project, leo, day="2026-11-03", seconds=45)
    worked(project, leo, day="2026-10-31", seconds=99)
    elsewhere = new_project()
    Membership.objects.create(project=elsewhere, user=mia.user, role="labeler")
    worked(elsewhere, mia, day="2026-11-02", seconds=77)
    names = sorted([mia.name, leo.name])
    assert listed(project) == sorted(
        [
            (mia.name, "2026-11-02", "demonstrate", 1, 0, 30, 0),
            (mia.name, "2026-11-02", "rank", 2, 0, 150, 0),
            (mia.name, "2026-11-03", "rank", 0, 1, 20, 0),
            (leo.name, "2026-11-03", "rank", 1, 0, 45, 0),
        ]
    )
    whole = ledger.ledger(project=project, since=date(2026, 11, 1), until=date(2026, 11, 20))
    assert [row.name for row in whole.totals] == names
    assert (whole.total.labels, whole.total.skips, whole.total.total_seconds) == (4, 1, 245)
    assert listed(project, labeler=leo) == [(leo.name, "2026-11-03", "rank", 1, 0, 45, 0)]


def test_the_edges_of_a_day(project: Project, mia: Labeler):
    label = worked(project, mia, day="2026-11-02", seconds=60)
    for moment, day in ((at("2026-11-02", 0), "2026-11-02"), (at("2026-11-02", 23), "2026-11-02")):
        Lease.objects.filter(pk=label.lease_id).update(opened_at=moment)
        assert [row[1] for row in listed(project, "2026-11-02", "2026-11-02")] == [day]
    Lease.objects.filter(pk=label.lease_id).update(opened_at=at("2026-11-03", 0))
    assert listed(project, "2026-11-02", "2026-11-02") == []


def test_the_time_of_a_revision_counts_on_its_own_day(project: Project, mia: Labeler):
    label = worked(project, mia, day="2026-11-02", seconds=60)
    for seconds in (25, None):
        label = annotate.revise(
            annotation_id=label.pk,
            labeler=mia,
            submission_id=uuid.uuid4(),
            answer=label.answer,
            active_seconds=seconds,
        )
    today = timezone.localdate().isoformat()
    assert listed(project, until=today) == [
        (mia.name, "2026-11-02", "rank", 1, 0, 60, 0),
        (mia.name, today, "rank", 0, 0, 25, 0),
    ]


def test_simulated_labelers_are_left_out(project: Project, mia: Labeler):
    worked(project, mia, day="2026-11-02", seconds=60)
    Labeler.objects.filter(pk=mia.pk).update(kind=Labeler.Kind.SIMULATED)
    assert listed(project) == []


def correct(project: Project, mia: Labeler, **fields: Any) -> TimeCorrection:
    asked = {"day": date(2026, 11, 2), "seconds": 600, "reason": "The power was out."} | fields
    return ledger.correct(project=project, labeler=mia, actor=None, **asked)


def test_a_correction_is_added_to_the_record(project: Project, mia: Labeler):
    worked(project, mia, day="2026-11-02", seconds=60)
    correct(project, mia)
    correct(project, mia, seconds=-120, reason="Counted twice.")
    assert listed(project) == [
        (mia.name, "2026-11-02", "", 0, 0, 0, 480),
        (mia.name, "2026-11-02", "rank", 1, 0, 60, 0),
    ]
    whole = ledger.ledger(project=project, since=date(2026, 11, 2), until=date(2026, 11, 2))
    assert whole.total.total_seconds == 540
    assert whole.rows[0].reasons == ["The power was out.", "Counted twice."]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"seconds": 0}, "seconds"),
        ({"seconds": -61}, "seconds"),
        ({"seconds": 86_341}, "seconds"),
        ({"seconds": 10**30}, "seconds"),
        ({"reason": ""}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"day": date(2999, 1, 1)}, "day"),
    ],
)
def test_bad_corrections(project: Project, mia: Labeler, fields: Any, field: str):
    worked(project, mia, day="2026-11-02", seconds=60)
    with pytest.raises(ledger.LedgerError) as refused:
        correct(project, mia, **fields)
    assert refused.value.field == field
    assert not TimeCorrection.objects.exists()


def test_a_correction_outlives_whoever_made_it(project: Project, mia: Labeler):
    admin = new_labeler(project, role="admin").user
    worked(project, mia, day="2026-11-02", seconds=60)
    made = ledger.correct(
        project=project, labeler=mia, day=date(2026, 11, 2), seconds=60, reason="Forgot.", actor=admin
    )
    admin.labeler.delete()
    admin.delete()
    made.refresh_from_db()
    assert (made.actor, made.labeler) == (None, mia)
    for change in ({"seconds": 1}, {"reason": "otherwise"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            TimeCorrection.objects.filter(pk=made.pk).update(**change)


def test_nobody_is_paid_where_they_never_worked(project: Project):
    with pytest.raises(ledger.LedgerError) as refused:
        correct(project, new_labeler())
    assert refused.value.field == "labeler"


@pytest.mark.parametrize(
    ("since", "until"), [(date(2026, 11, 2), date(2026, 11, 1)), (date(2024, 1, 1), date(2026, 1, 1))]
)
def test_bad_days(project: Project, since: date, until: date):
    with pytest.raises(ledger.LedgerError) as refused:
        ledger.ledger(project=project, since=since, until=until)
    assert refused.value.field == "from"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(project: Project, mia: Labeler, name: str):
    worked(project, mia, day="2026-11-02", seconds=60)
    correct(project, mia, reason=f'{name}"; drop')
    Labeler.objects.filter(pk=mia.pk).update(name=name)
    found = ledger.ledger(project=project, since=date(2026, 11, 1), until=date(2026, 11, 20))
    first, *_ = rows = list(csv.DictReader(StringIO("".join(ledger.as_csv(found.rows)), newline="")))
    assert {row["name"] for row in rows} == {f"'{name}"}
    assert first["reason"] == f"'{name}\"; drop"
    assert [row["total_seconds"] for row in rows] == ["600", "60"]


def test_as_many_queries_for_many_rows(project: Project, mia: Labeler):
    costs = []
    for day in ("2026-11-02", "2026-11-03"):
        for _ in range(3):
            worked(project, mia, day=day, seconds=60)
            worked(project, new_labeler(project), day=day, seconds=60)
        correct(project, mia, day=date.fromisoformat(day))
        with CaptureQueriesContext(connection) as captured:
            ledger.ledger(project=project, since=date(2026, 11, 1), until=date(2026, 11, 20)).totals  # noqa: B018
        costs.append(len(captured))
    assert costs == [3, 3]


# Doors


def test_over_the_api(project: Project, mia: Labeler, client: Client):
    ada, leo = new_labeler(project, role="admin"), new_labeler(project)
    worked(project, mia, day="2026-11-02", seconds=60)
    worked(project, leo, day="2026-11-02", seconds=30)
    path = f"/api/projects/{project.slug}"
    days = "from=2026-11-01&to=2026-11-20"
    fix = {"labeler": str(mia.pk), "day": "2026-11-02", "seconds": 60, "reason": "Slow page."}

    client.force_login(mia.user)
    assert [row["name"] for row in client.get(f"{path}/ledger/?{days}").json()["rows"]] == [mia.name]
    assert client.post(f"{path}/time-corrections/", fix, content_type="application/json").status_code == 403

    client.force_login(ada.user)
    for body, field in (
        ({**fix, "day": "yesterday"}, "day"),
        ({**fix, "labeler": "mia"}, "labeler"),
        ({**fix, "seconds": 1.5}, "seconds"),
        ({**fix, "who": 1}, "who"),
        ({**fix, "seconds": -999}, "seconds"),
    ):
        answer = client.post(f"{path}/time-corrections/", body, content_type="application/json")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    answer = client.post(
        f"{path}/time-corrections/", {**fix, "labeler": str(uuid.uuid4())}, content_type="application/json"
    )
    assert answer.status_code == 404
    assert client.post(f"{path}/time-corrections/", fix, content_type="application/json").status_code == 201
    found = client.get(f"{path}/ledger/?{days}").json()
    assert found["total"]["total_seconds"] == 150
    assert {row["name"] for row in found["totals"]} == {mia.name, leo.name}
    answer = client.get(f"{path}/ledger/?{days}&format=csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert len(b"".join(answer.streaming_content).splitlines()) == 4
    for query in ("from=x", "from=2026-11-02&to=2026-11-01", "format=xls"):
        assert client.get(f"{path}/ledger/?{query}").status_code == 400
    client.force_login(new_labeler().user)
    assert client.get(f"{path}/ledger/").status_code == 404


def test_pages(project: Project, mia: Labeler, client: Client):
    ada = new_labeler(project, role="admin")
    worked(project, mia, day="2026-11-02", seconds=60)
    correct(project, mia, reason="The power was out.")
    days = "?from=2026-11-01&to=2026-11-20"
    client.force_login(mia.user)
    page = client.get(f"/account/hours/{days}").content.decode()
    assert "The power was out." in page
    assert "0:11:00" in page
    assert client.get(f"/projects/{project.slug}/ledger/").status_code == 403
    assert client.get("/account/hours/?from=2026-11-02&to=2026-11-01").status_code == 422
    assert client.get("/account/hours/?from=2026-99-99&to=x").status_code == 200
    client.force_login(ada.user)
    page = client.get(f"/projects/{project.slug}/ledger/{days}").content.decode()
    assert mia.name in page
    assert "The power was out." in page


def test_command(project: Project, mia: Labeler, capsys: pytest.CaptureFixture[str]):
    worked(project, mia, day="2026-11-02", seconds=60)
    asked = ("ledger", "--project", project.slug, "--from", "2026-11-01", "--to", "2026-11-20")
    call_command(*asked)
    head, row = capsys.readouterr().out.splitlines()
    assert (head, row.split(",")[1:4]) == (",".join(ledger.COLUMNS), [mia.name, "2026-11-02", "rank"])
    call_command(*asked, "--json")
    assert json.loads(capsys.readouterr().out)["total"]["active_seconds"] == 60
    for days, words in (
        (("--from", "x"), "from: 'x' is no day"),
        (("--from", "2999-01-01"), "from: 2999-01-01 is after"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("ledger", "--project", project.slug, *days)


def test_my_time_by_day_on_the_desk(project: Project, mia: Labeler):
    today = timezone.localdate()
    worked(project, mia, day=today.isoformat(), seconds=60)
    worked(project, mia, day=(today - timedelta(days=6)).isoformat(), seconds=120)
    worked(project, mia, day=(today - timedelta(days=7)).isoformat(), seconds=999)
    correct(project, mia, day=today, seconds=-20)
    times = [one.total_seconds() for one in desk(user=mia.user, labeler=mia).days.values()]
    assert times == [40, 0, 0, 0, 0, 0, 120]
