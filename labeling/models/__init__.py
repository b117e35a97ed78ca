"""The nouns of labeling: projects and people, then the work, then the labels."""

from labeling.models.labels import Annotation, AnnotationQuerySet, Dataset, DatasetItem, Invalidation
from labeling.models.projects import (
    AccountSettings,
    ApiToken,
    Event,
    Import,
    Labeler,
    Membership,
    Project,
    ProjectQuerySet,
    Split,
)
from labeling.models.work import Candidate, Completion, Draft, Lease, Prompt, Task, TaskQuerySet

__all__ = [
    "AccountSettings",
    "Annotation",
    "AnnotationQuerySet",
    "ApiToken",
    "Candidate",
    "Completion",
    "Dataset",
    "DatasetItem",
    "Draft",
    "Event",
    "Import",
    "Invalidation",
    "Labeler",
    "Lease",
    "Membership",
    "Project",
    "ProjectQuerySet",
    "Prompt",
    "Split",
    "Task",
    "TaskQuerySet",
]
