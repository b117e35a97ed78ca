"""What is kept about the people of a project: how they were asked in, what they were told, who did what."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from labeling.models.projects import Labeler, Membership, Project, Split


class Invitation(models.Model):
    """A link that makes whoever opens it a member; only the sha256 of its secret is stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    digest = models.CharField(max_length=64, unique=True)
    prefix = models.CharField(max_length=8, help_text="what an admin recognises the link by")
    name = models.CharField(max_length=150, blank=True, help_text="whom it is meant for, as the CSV says")
    role = models.CharField(max_length=10, choices=Membership.Role, default=Membership.Role.LABELER)
    group = models.CharField(max_length=8, choices=Split, default=Split.TRAIN)
    languages = models.JSONField(default=list)
    skills = models.JSONField(default=list)
    most_uses = models.PositiveSmallIntegerField(default=1)
    uses = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(uses__lte=F("most_uses")), name="invitation_never_overused")
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… to {self.project_id} as {self.role}"


class AuditEntry(models.Model):
    """Who did what to what, when. Append-only; the actor's name stays where the account goes."""

    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.SET_NULL, related_name="audit_entries"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_name = models.CharField(max_length=150, blank=True, help_text="blank where the platform did it")
    action = models.CharField(max_length=60, help_text='noun and verb: "membership.pause"')
    target = models.CharField(max_length=200, help_text='what it was done to: "labeler ada"')
    detail = models.JSONField(default=dict, help_text="ids, numbers and reasons, never texts of labels")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["project", "-id"], name="audit_of_project")]

    def __str__(self) -> str:
        return f"{self.actor_name or 'platform'}: {self.action} {self.target}"


class Message(models.Model):
    """What an admin or reviewer wrote to a labeler; it waits on their home until it is read."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="messages")
    labeler = models.ForeignKey(Labeler, on_delete=models.CASCADE, related_name="messages")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["labeler"], condition=Q(read_at__isnull=True), name="message_unread")]

    def __str__(self) -> str:
        return self.text[:80]
