from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now

from backend.core.ids import uuid7


class UserManager(BaseUserManager["User"]):
    def by_email(self, email: str) -> "User | None":
        return self.filter(email=normalise_email(email)).first()

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=normalise_email(username or ""))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=normalise_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})


class User(AbstractBaseUser, PermissionsMixin):
    """A person with an account. `is_active` False means suspended or deleted: every credential is refused at once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    login_epoch = models.PositiveIntegerField(default=0)  # part of every browser session: raising it ends them all
    created_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(
        null=True, editable=False
    )  # the row stays, without a name: the ledger points at it
    deleted_by = models.UUIDField(null=True, editable=False)  # who closed it: the person, or one of the staff

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_lowercase"),
            models.CheckConstraint(
                condition=models.Q(deleted_at=None) | models.Q(is_active=False), name="user_deleted_is_inactive"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def get_session_auth_hash(self) -> str:
        return f"{super().get_session_auth_hash()}:{self.login_epoch}"


class SessionQuerySet(models.QuerySet["Session"]):
    def live(self) -> "SessionQuerySet":
        """The sessions whose tokens are honoured; the one place that says so."""
        return self.filter(revoked_at=None, expires_at__gt=Now(), user__is_active=True)

    def owned_by(self, user: User) -> "SessionQuerySet":
        return self.live().filter(user_id=user.pk)


class Session(models.Model):
    """One login and every token that descends from it. Revoking the row refuses them all, access tokens included."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    user_agent = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(db_default=Now())  # of the last refresh
    expires_at = models.DateTimeField(db_index=True)  # of the newest refresh token
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = SessionQuerySet.as_manager()

    def __str__(self) -> str:
        return self.user_agent[:60] or "unnamed client"


class RefreshToken(models.Model):
    """One link of a session's chain. Used ones are kept until they expire: a second use tells of a theft."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="refresh_tokens")
    hash = models.CharField(max_length=64, unique=True)  # sha256 (hex); the token itself is stored nowhere
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.pk)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> "ApiKeyQuerySet":
        """The keys that are honoured; the one place that says so."""
        expired = models.Q(expires_at__isnull=False, expires_at__lte=Now())
        return self.filter(revoked_at=None, user__is_active=True).exclude(expired)

    def owned_by(self, user: User) -> "ApiKeyQuerySet":
        return self.live().filter(user_id=user.pk)

    def used_lately(self) -> "ApiKeyQuerySet":
        """Adds `lately`: whether the last use was noted within USE_NOTED."""
        recent = models.Q(last_used_at__isnull=False, last_used_at__gt=Now() - ApiKey.USE_NOTED)
        return self.annotate(lately=models.ExpressionWrapper(recent, output_field=models.BooleanField()))


class ApiKey(models.Model):
    """What a program signs in with, in its owner's name; it reaches nothing that changes the account itself."""

    USE_NOTED = timedelta(minutes=1)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    shown = models.CharField(max_length=12)  # how it begins
    hash = models.CharField(max_length=64, unique=True)  # sha256 (hex); the key itself is stored nowhere
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)  # to the minute
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = ApiKeyQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["user", "-id"], name="api_key_user")]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown}…)"


def normalise_email(email: str) -> str:
    """The one spelling of an address: no outer blanks, lower case, an international domain in its ASCII form.

    So neither case nor script makes a second account, and PostgreSQL's lower() agrees with Python's. Idempotent.
    """
    local, at, domain = email.strip().lower().rpartition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            return f"{local}{at}{domain}"
    return f"{local}{at}{domain}".strip().lower()
