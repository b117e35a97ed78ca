"""Addresses of labeling's part of the API, all under ``/api/``."""

from django.urls import path

from labeling.api import account, datasets, guidelines, ledger, log, projects, reviews, talk, work

urlpatterns = [
    path("projects/", projects.Projects.as_view()),
    path("projects/<slug:slug>/", projects.OneProject.as_view()),
    path("projects/<slug:slug>/members/", projects.Members.as_view()),
    path("projects/<slug:slug>/prompts/", projects.Prompts.as_view()),
    path("projects/<slug:slug>/demonstrations/", projects.Demonstrations.as_view()),
    path("projects/<slug:slug>/completions/", projects.Completions.as_view()),
    path("projects/<slug:slug>/tasks/", projects.Tasks.as_view()),
    path("projects/<slug:slug>/next/", work.Next.as_view()),
    path("projects/<slug:slug>/annotations/", work.Annotations.as_view()),
    path("projects/<slug:slug>/datasets/", datasets.Datasets.as_view()),
    path("guidelines/<slug:slug>/draft/", guidelines.OwnDraft.as_view()),
    path("guidelines/<slug:slug>/versions/", guidelines.Versions.as_view()),
    path("guidelines/<slug:slug>/versions/preview/", guidelines.VersionsPreview.as_view()),
    path(
        "guidelines/<slug:slug>/versions/<int:number>/acknowledge/", guidelines.VersionAcknowledge.as_view()
    ),
    path("leases/<uuid:lease_id>/", work.OneLease.as_view()),
    path("leases/<uuid:lease_id>/draft/", work.LeaseDraft.as_view()),
    path("leases/<uuid:lease_id>/heartbeat/", work.LeaseHeartbeat.as_view()),
    path("leases/<uuid:lease_id>/skip/", work.LeaseSkip.as_view()),
    path("leases/<uuid:lease_id>/say/", talk.LeaseSay.as_view()),
    path("leases/<uuid:lease_id>/draft-reply/", talk.LeaseDraftReply.as_view()),
    path("leases/<uuid:lease_id>/replies/<int:number>/", talk.LeaseReply.as_view()),
    path("leases/<uuid:lease_id>/submit/", work.LeaseSubmit.as_view()),
    path("annotations/<int:annotation_id>/", reviews.OneAnnotation.as_view()),
    path("annotations/<int:annotation_id>/appeal/", reviews.AnnotationAppeal.as_view()),
    path("projects/<slug:slug>/ledger/", ledger.ProjectLedger.as_view()),
    path("projects/<slug:slug>/time-corrections/", ledger.TimeCorrections.as_view()),
    path("sent-back/", reviews.SentBack.as_view()),
    path("annotations/<int:annotation_id>/revise/", work.AnnotationRevise.as_view()),
    path("annotations/<int:annotation_id>/continue/", work.AnnotationContinue.as_view()),
    path("annotations/<int:annotation_id>/branch/", work.AnnotationBranch.as_view()),
    path("projects/<slug:slug>/log/", log.ProjectLog.as_view()),
    path("annotations/<int:annotation_id>/invalidate/", work.AnnotationInvalidate.as_view()),
    path("account/keys/", account.Keys.as_view()),
    path("account/reading/", account.Reading.as_view()),
    path("datasets/<int:dataset_id>/", datasets.OneDataset.as_view()),
    path("datasets/<int:dataset_id>/export/", datasets.DatasetExport.as_view()),
]
