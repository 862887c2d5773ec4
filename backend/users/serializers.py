from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from backend.users.models import ApiKey, Session, User, normalise_email
from backend.users.services import PASSWORD_MAX_LENGTH
from backend.users.tokens import TokenPair


class PasswordField(serializers.CharField):
    """As typed: neither trimmed nor shown in the browsable API. Its strength is the services' business."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=PASSWORD_MAX_LENGTH, trim_whitespace=False, style={"input_type": "password"}, **options
        )


class AddressField(serializers.EmailField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=254, **options)

    def to_internal_value(self, data: Any) -> str:
        email = normalise_email(super().to_internal_value(data))
        if not email.isascii() or len(email) > 254:
            self.fail("invalid")
        return email


class RegisterInput(serializers.Serializer[User]):
    email = AddressField()
    password = PasswordField()
    name = serializers.CharField(max_length=100, allow_blank=True, default="")


class EmailInput(serializers.Serializer[User]):
    email = AddressField()


class LinkTokenInput(serializers.Serializer[User]):
    token = serializers.CharField(max_length=500)


class LoginInput(serializers.Serializer[User]):
    email = AddressField()
    password = PasswordField()


class RefreshInput(serializers.Serializer[TokenPair]):
    refresh = serializers.CharField(max_length=200)


class ResetPasswordInput(serializers.Serializer[User]):
    token = serializers.CharField(max_length=500)
    password = PasswordField()


class ChangePasswordInput(serializers.Serializer[User]):
    current_password = PasswordField()
    new_password = PasswordField()


class PasswordInput(serializers.Serializer[User]):
    password = PasswordField()


class ProfileInput(serializers.Serializer[User]):
    name = serializers.CharField(max_length=100, allow_blank=True)


class AcceptedOutput(serializers.Serializer[Any]):
    message = serializers.CharField()


class TokenPairOutput(serializers.Serializer[TokenPair]):
    access = serializers.CharField()
    refresh = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")


class UserOutput(serializers.ModelSerializer[User]):
    email_verified = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "email", "name", "email_verified", "created_at"]
        read_only_fields = fields

    def get_email_verified(self, user: User) -> bool:
        return user.email_verified_at is not None


class SessionOutput(serializers.ModelSerializer[Session]):
    current = serializers.SerializerMethodField(help_text="Whether this request was made with this session's token.")

    class Meta:
        model = Session
        fields = ["id", "user_agent", "created_at", "last_used_at", "current"]
        read_only_fields = fields

    def get_current(self, session: Session) -> bool:
        current: Session | None = self.context["request"].auth
        return current is not None and current.pk == session.pk


class ApiKeyInput(serializers.Serializer[ApiKey]):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(allow_null=True, default=None, help_text="Null: never.")

    def validate_expires_at(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is not None and expires_at <= timezone.now():
            raise serializers.ValidationError("This is in the past.", code="past")
        return expires_at


class ApiKeyOutput(serializers.ModelSerializer[ApiKey]):
    """`shown` is how the key begins; `last_used_at` is right to the minute."""

    class Meta:
        model = ApiKey
        fields = ["id", "name", "shown", "created_at", "last_used_at", "expires_at"]
        read_only_fields = fields


class NewApiKeyOutput(ApiKeyOutput):
    key = serializers.CharField(read_only=True, help_text="The key itself. It is shown this once.")

    class Meta(ApiKeyOutput.Meta):
        fields = [*ApiKeyOutput.Meta.fields, "key"]
        read_only_fields = fields
