from typing import Any
from uuid import UUID

from django.contrib.auth import logout, update_session_auth_hash
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from backend.core.client_address import client_address
from backend.core.serializers import ErrorOutput
from backend.users import api_keys, services
from backend.users.current import user_of
from backend.users.models import ApiKey, Session
from backend.users.permissions import IsPerson
from backend.users.serializers import (
    AcceptedOutput,
    ApiKeyInput,
    ApiKeyOutput,
    ChangePasswordInput,
    EmailInput,
    LinkTokenInput,
    LoginInput,
    NewApiKeyOutput,
    PasswordInput,
    ProfileInput,
    RefreshInput,
    RegisterInput,
    ResetPasswordInput,
    SessionOutput,
    TokenPairOutput,
    UserOutput,
)

INVALID = {400: ErrorOutput}
LIMITED = {**INVALID, 429: ErrorOutput}
PAIR: dict[int, type[BaseSerializer[Any]]] = {200: TokenPairOutput, 401: ErrorOutput}


def _fields(serializer: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    fields = serializer(data=request.data)
    fields.is_valid(raise_exception=True)
    return dict(fields.validated_data)


def _letter_on_its_way() -> Response:
    """The same words whether or not the address is known."""
    message = "If that is possible for this address, a letter is on its way to it."
    return Response({"message": message}, status=status.HTTP_202_ACCEPTED)


class PublicView(APIView):
    """For who has no token, or one that expired: it is not even looked at."""

    authentication_classes = []
    permission_classes = [AllowAny]


@extend_schema(tags=["auth"])
class RegisterView(PublicView):
    @extend_schema(request=RegisterInput, responses={202: AcceptedOutput, **LIMITED})
    def post(self, request: Request) -> Response:
        """Sign up. A letter confirms the address; the answer is the same for one that has an account."""
        services.register(**_fields(RegisterInput, request), address=client_address(request))
        return _letter_on_its_way()


@extend_schema(tags=["auth"])
class VerifyEmailView(PublicView):
    @extend_schema(request=LinkTokenInput, responses={204: None, **INVALID})
    def post(self, request: Request) -> Response:
        """Confirm the address with the token of the letter."""
        services.verify_email(**_fields(LinkTokenInput, request))
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["auth"])
class ResendVerificationView(PublicView):
    @extend_schema(request=EmailInput, responses={202: AcceptedOutput, **LIMITED})
    def post(self, request: Request) -> Response:
        """Another letter that confirms the address."""
        services.request_verification(**_fields(EmailInput, request), address=client_address(request))
        return _letter_on_its_way()


@extend_schema(tags=["auth"])
class LoginView(PublicView):
    @extend_schema(request=LoginInput, responses={**PAIR, **LIMITED, 403: ErrorOutput})
    def post(self, request: Request) -> Response:
        """Log in: an access token of minutes and a refresh token of days."""
        pair = services.log_in(
            **_fields(LoginInput, request),
            user_agent=request.headers.get("User-Agent", ""),
            address=client_address(request),
        )
        return Response(TokenPairOutput(pair).data)


@extend_schema(tags=["auth"])
class RefreshView(PublicView):
    """A refresh token works once; asking again within a few seconds gives the same pair, later it ends the session."""

    @extend_schema(request=RefreshInput, responses={**PAIR, **INVALID})
    def post(self, request: Request) -> Response:
        return Response(TokenPairOutput(services.refresh_session(**_fields(RefreshInput, request))).data)


@extend_schema(tags=["auth"])
class ResetPasswordView(PublicView):
    @extend_schema(request=EmailInput, responses={202: AcceptedOutput, **LIMITED})
    def post(self, request: Request) -> Response:
        """A letter to choose a new password with. The answer is the same for an address that nobody has."""
        services.request_password_reset(**_fields(EmailInput, request), address=client_address(request))
        return _letter_on_its_way()


@extend_schema(tags=["auth"])
class ResetPasswordConfirmView(PublicView):
    @extend_schema(request=ResetPasswordInput, responses={204: None, **INVALID})
    def post(self, request: Request) -> Response:
        """Choose a new password with the token of the letter. It ends every session."""
        services.reset_password(**_fields(ResetPasswordInput, request))
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["auth"])
class LogoutView(APIView):
    """Ends the session that this request was made with."""

    permission_classes = [IsPerson]

    @extend_schema(request=None, responses={204: None, 401: ErrorOutput})
    def post(self, request: Request) -> Response:
        if isinstance(request.auth, Session):
            services.end_sessions(user=user_of(request), only=request.auth.pk)
        else:
            logout(request)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["auth"])
class LogoutAllView(APIView):
    """Ends every session of the account, this one too."""

    permission_classes = [IsPerson]

    @extend_schema(request=None, responses={204: None, 401: ErrorOutput})
    def post(self, request: Request) -> Response:
        services.log_out_everywhere(user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["auth"])
class SessionListView(generics.ListAPIView[Session]):
    """Where the account is logged in."""

    serializer_class = SessionOutput
    permission_classes = [IsPerson]
    queryset = Session.objects.none()

    def get_queryset(self) -> QuerySet[Session]:
        sessions: QuerySet[Session] = Session.objects.owned_by(user_of(self.request))
        return sessions


@extend_schema(tags=["auth"])
class SessionView(APIView):
    permission_classes = [IsPerson]

    @extend_schema(responses={204: None, 401: ErrorOutput, 404: ErrorOutput})
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Log out one place where the account is logged in."""
        services.end_session(user=user_of(request), session_id=session_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["auth"])
class ChangePasswordView(APIView):
    """Ends every session but the one that this request was made with."""

    permission_classes = [IsPerson]

    @extend_schema(request=ChangePasswordInput, responses={204: None, 401: ErrorOutput, 403: ErrorOutput, **LIMITED})
    def post(self, request: Request) -> Response:
        user, fields = user_of(request), _fields(ChangePasswordInput, request)
        keep = request.auth if isinstance(request.auth, Session) else None
        services.change_password(user=user, current=fields["current_password"], new=fields["new_password"], keep=keep)
        if keep is None:
            update_session_auth_hash(request, user)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["api keys"])
class ApiKeyListView(generics.ListAPIView[ApiKey]):
    """Keys for programs. They sign in as you, and reach everything but the account itself: password, sessions, keys,
    name, deletion. A change of the password revokes them."""

    serializer_class = ApiKeyOutput
    permission_classes = [IsPerson]
    queryset = ApiKey.objects.none()

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = ApiKey.objects.owned_by(user_of(self.request))
        return keys

    @extend_schema(request=ApiKeyInput, responses={201: NewApiKeyOutput, 409: ErrorOutput, **INVALID})
    def post(self, request: Request) -> Response:
        """Takes no Idempotency-Key: the answer holds the key, and must be stored nowhere."""
        row, key = api_keys.create(user=user_of(request), **_fields(ApiKeyInput, request))
        return Response({**ApiKeyOutput(row).data, "key": key}, status=status.HTTP_201_CREATED)


@extend_schema(tags=["api keys"])
class ApiKeyView(APIView):
    permission_classes = [IsPerson]

    @extend_schema(responses={204: None, 401: ErrorOutput, 404: ErrorOutput})
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Refused from this moment on."""
        api_keys.revoke(user=user_of(request), key_id=key_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["me"])
class MeView(APIView):
    def get_permissions(self) -> list[Any]:
        return [IsAuthenticated()] if self.request.method == "GET" else [IsPerson()]

    @extend_schema(responses={200: UserOutput, 401: ErrorOutput})
    def get(self, request: Request) -> Response:
        """Who you are."""
        return Response(UserOutput(user_of(request)).data)

    @extend_schema(request=ProfileInput, responses={200: UserOutput, 401: ErrorOutput, **INVALID})
    def patch(self, request: Request) -> Response:
        """Change your name."""
        user = services.rename(user=user_of(request), **_fields(ProfileInput, request))
        return Response(UserOutput(user).data)

    @extend_schema(
        request={"application/json": PasswordInput},
        responses={204: None, 401: ErrorOutput, 403: ErrorOutput, **LIMITED},
    )
    def delete(self, request: Request) -> Response:
        """Deletes the account with all it owns. Only the ledger stays, without a name."""
        services.delete_own_account(user=user_of(request), **_fields(PasswordInput, request))
        return Response(status=status.HTTP_204_NO_CONTENT)
