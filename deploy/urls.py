"""Every address of the platform but `/healthz`, which `deploy.health` answers before the rest is asked."""

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

# Admin's own form would let anybody guess passwords without end.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("favicon.ico", RedirectView.as_view(url=static("mark.svg"))),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(), name="docs"),
    path(
        "accessibility/",
        TemplateView.as_view(
            template_name="accessibility.html", extra_context={"contact": settings.ACCESSIBILITY_CONTACT}
        ),
        name="accessibility",
    ),
    path("", include("labeling.urls")),
    path("", include("rlhf.urls")),
    path("", include("guidelines.urls")),
]

handler400 = "deploy.errors.bad_request"
handler403 = "deploy.errors.forbidden"
handler404 = "deploy.errors.not_found"
handler500 = "deploy.errors.server_error"
