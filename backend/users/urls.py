from django.urls import path

from backend.users import pages, views

urlpatterns = [
    path("auth/register/", views.RegisterView.as_view(), name="register"),
    path("auth/verify-email/", views.VerifyEmailView.as_view(), name="verify-email"),
    path("auth/resend-verification/", views.ResendVerificationView.as_view(), name="resend-verification"),
    path("auth/login/", views.LoginView.as_view(), name="login"),
    path("auth/refresh/", views.RefreshView.as_view(), name="refresh"),
    path("auth/logout/", views.LogoutView.as_view(), name="logout"),
    path("auth/logout-all/", views.LogoutAllView.as_view(), name="logout-all"),
    path("auth/sessions/", views.SessionListView.as_view(), name="sessions"),
    path("auth/sessions/<uuid:session_id>/", views.SessionView.as_view(), name="session"),
    path("auth/change-password/", views.ChangePasswordView.as_view(), name="change-password"),
    path("auth/reset-password/", views.ResetPasswordView.as_view(), name="reset-password"),
    path("auth/reset-password/confirm/", views.ResetPasswordConfirmView.as_view(), name="reset-password-confirm"),
    path("api-keys/", views.ApiKeyListView.as_view(), name="api-keys"),
    path("api-keys/<uuid:key_id>/", views.ApiKeyView.as_view(), name="api-key"),
    path("me/", views.MeView.as_view(), name="me"),
]

# At the root: where the links of our letters lead.
page_urlpatterns = [
    path("verify-email", pages.link_page, {"page": pages.VERIFY_EMAIL}, name="verify-email-page"),
    path("reset-password", pages.link_page, {"page": pages.RESET_PASSWORD}, name="reset-password-page"),
]
