"""Everything that changes an account or its sessions."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from backend.core import jobs
from backend.core.errors import NotFound
from backend.core.models import IdempotencyRecord
from backend.core.text import clean_text
from backend.users import api_keys, limits, links, tokens
from backend.users.errors import (
    EmailNotVerified,
    InvalidCredentials,
    InvalidRefreshToken,
    RefreshTokenReused,
    WeakPassword,
    WrongPassword,
)
from backend.users.models import ApiKey, RefreshToken, Session, User, normalise_email
from backend.users.tokens import TokenPair

PASSWORD_MAX_LENGTH = 256  # hashing is slow on purpose, and slower the longer

# --- Getting an account


def register(*, email: str, password: str, name: str, address: str) -> None:
    """Known or not, the address gets a letter and the caller the same silence.

    Raises TooManyRequests and WeakPassword, for both alike.
    """
    limits.count_registration(address=address)
    email, name = normalise_email(email), clean_text(name)
    check_password_strength(password=password, user=User(email=email, name=name))
    hashed = make_password(password)  # before looking, so that a known address takes as long as a new one
    with transaction.atomic():
        known = User.objects.by_email(email) or _create_or_find(email=email, name=name, hashed=hashed)
        if known is not None:
            jobs.enqueue("users.send_account_exists_email", user_id=str(known.pk))


def _create_or_find(*, email: str, name: str, hashed: str) -> User | None:
    """Creates the account; where somebody was quicker, returns theirs."""
    try:
        with transaction.atomic():
            user = User.objects.create(email=email, name=name, password=hashed)
    except IntegrityError:
        return User.objects.get(email=email)
    jobs.enqueue("users.send_verification_email", user_id=str(user.pk))
    return None


def check_password_strength(*, password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as exc:
        problems = [{"code": error.code, "message": " ".join(error.messages)} for error in exc.error_list]
        raise WeakPassword(details={"password": problems}) from exc


def request_verification(*, email: str, address: str) -> None:
    """The job is made for unknown addresses too, and finds nobody: asking takes the same time either way.

    Raises TooManyRequests.
    """
    limits.count_letter(scope="verify", email=email, address=address)
    user = User.objects.by_email(email) or User()
    jobs.enqueue("users.send_verification_email", user_id=str(user.pk))


def verify_email(*, token: str) -> User:
    """Raises InvalidLink."""
    with transaction.atomic():
        user = links.read(token, links.VERIFY_EMAIL)
        User.objects.filter(pk=user.pk, email_verified_at=None).update(email_verified_at=Now())
    return user


# --- Sessions


def log_in(*, email: str, password: str, user_agent: str, address: str) -> TokenPair:
    """Raises TooManyRequests; InvalidCredentials, whatever the reason; EmailNotVerified if the password is right."""
    limits.count_password_try(email=email, address=address)
    user = User.objects.by_email(email)
    if user is None:
        make_password(password)  # takes the time that checking would have taken
        raise InvalidCredentials
    if not user.check_password(password) or not user.is_active:
        raise InvalidCredentials
    if settings.REQUIRE_VERIFIED_EMAIL and user.email_verified_at is None:
        raise EmailNotVerified
    with transaction.atomic():
        # Checking took a while. A password changed meanwhile has ended all sessions: this one must not outlive that.
        same = User.objects.select_for_update(no_key=True).filter(pk=user.pk, password=user.password, is_active=True)
        if not same.exists():
            raise InvalidCredentials
        return open_session(user=user, user_agent=user_agent)


def open_session(*, user: User, user_agent: str) -> TokenPair:
    refresh = tokens.new_refresh()
    with transaction.atomic():
        session = Session.objects.create(
            user=user, user_agent=clean_text(user_agent)[:200], expires_at=Now() + settings.REFRESH_TOKEN_LIFETIME
        )
        row = _add_refresh_token(session=session, refresh=refresh, now=session.created_at)
    return tokens.pair(row=row, refresh=refresh)


def _add_refresh_token(*, session: Session, refresh: str, now: Any) -> RefreshToken:
    return RefreshToken.objects.create(
        session=session,
        hash=tokens.hash_of(refresh),
        created_at=now,
        expires_at=now + settings.REFRESH_TOKEN_LIFETIME,
    )


def refresh_session(*, refresh: str) -> TokenPair:
    """Exchanges a refresh token for the next pair; within REFRESH_GRACE of that, gives the same pair again.

    Raises InvalidRefreshToken, or RefreshTokenReused after it has ended the session.
    """
    with transaction.atomic():
        row = _lock_refresh_token(refresh)
        if row.used_at is None or row.now - row.used_at <= settings.REFRESH_GRACE:
            return _rotate(row, refresh)
        end_sessions(user=row.session.user, only=row.session_id)
    raise RefreshTokenReused  # after the transaction: raised inside, it would take the revocation back


def _lock_refresh_token(refresh: str) -> Any:
    """The row, with the database's `now`, held against every other use of it until the transaction ends."""
    row = (
        RefreshToken.objects.select_for_update(of=("self",))
        .select_related("session__user")
        .annotate(now=Now())
        .filter(hash=tokens.hash_of(refresh), expires_at__gt=Now(), session__in=Session.objects.live())
        .first()
    )
    if row is None:
        raise InvalidRefreshToken
    return row


def _rotate(row: Any, refresh: str) -> TokenPair:
    successor = tokens.successor_of(refresh)
    if row.used_at is not None:
        following = RefreshToken.objects.select_related("session").get(hash=tokens.hash_of(successor))
        return tokens.pair(row=following, refresh=successor)
    RefreshToken.objects.filter(pk=row.pk).update(used_at=row.now)
    following = _add_refresh_token(session=row.session, refresh=successor, now=row.now)
    Session.objects.filter(pk=row.session_id).update(last_used_at=row.now, expires_at=following.expires_at)
    return tokens.pair(row=following, refresh=successor)


def end_sessions(*, user: User, only: UUID | None = None, keep: UUID | None = None) -> int:
    """Revokes all of the user's sessions, or `only` one, or all but `keep`; returns how many were live."""
    sessions = Session.objects.filter(user=user, revoked_at=None)
    if only is not None:
        sessions = sessions.filter(pk=only)
    if keep is not None:
        sessions = sessions.exclude(pk=keep)
    return int(sessions.update(revoked_at=Now()))


def end_session(*, user: User, session_id: UUID) -> None:
    """Raises NotFound for a session that is not the user's, or no longer live."""
    if not end_sessions(user=user, only=session_id):
        raise NotFound


def log_out_everywhere(*, user: User) -> None:
    """Ends the sessions of the API and, through the epoch, those of browsers. API keys stay: programs do not log in."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(login_epoch=F("login_epoch") + 1)
        end_sessions(user=user)


def _shut_out(*, user: User) -> None:
    log_out_everywhere(user=user)
    api_keys.revoke_all(user=user)


def forget_ended_sessions() -> int:
    """Deletes the rows of tokens and sessions that nothing can use any more; returns how many sessions."""
    RefreshToken.objects.filter(expires_at__lt=Now()).delete()
    return int(Session.objects.filter(expires_at__lt=Now()).delete()[1].get("users.Session", 0))


# --- Changing an account


def rename(*, user: User, name: str) -> User:
    user.name = clean_text(name)
    user.save(update_fields=["name"])
    return user


def change_password(*, user: User, current: str, new: str, keep: Session | None) -> None:
    """Ends every session but `keep`, and every API key. Raises TooManyRequests, WrongPassword, WeakPassword."""
    limits.count_password_try(email=user.email, address=None)
    if not user.check_password(current):
        raise WrongPassword
    check_password_strength(password=new, user=user)
    with transaction.atomic():
        _set_password(user=user, password=new, keep=keep.pk if keep else None)


def _set_password(*, user: User, password: str, keep: UUID | None = None) -> None:
    user.set_password(password)
    user.save(update_fields=["password"])
    end_sessions(user=user, keep=keep)
    api_keys.revoke_all(user=user)
    jobs.enqueue("users.send_password_changed_email", user_id=str(user.pk))


def request_password_reset(*, email: str, address: str) -> None:
    """The same for known and unknown addresses: see `request_verification`. Raises TooManyRequests."""
    limits.count_letter(scope="reset", email=email, address=address)
    send_password_reset(user=User.objects.by_email(email) or User())


def send_password_reset(*, user: User) -> None:
    jobs.enqueue("users.send_password_reset_email", user_id=str(user.pk))


def reset_password(*, token: str, password: str) -> User:
    """Ends every session; the link proved the address, so it counts as verified. Raises InvalidLink, WeakPassword."""
    with transaction.atomic():
        user = links.read(token, links.RESET_PASSWORD)
        check_password_strength(password=password, user=user)
        _set_password(user=user, password=password)
        User.objects.filter(pk=user.pk, email_verified_at=None).update(email_verified_at=Now())
    return user


def suspend(*, user: User) -> None:
    """Refuses every credential at once. Activating again brings none of them back."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=False)
        _shut_out(user=user)


def activate(*, user: User) -> None:
    """Raises NotFound for a deleted account."""
    if not User.objects.filter(pk=user.pk, deleted_at=None).update(is_active=True):
        raise NotFound


def delete_own_account(*, user: User, password: str) -> None:
    """Raises TooManyRequests, WrongPassword."""
    limits.count_password_try(email=user.email, address=None)
    if not user.check_password(password):
        raise WrongPassword
    delete_account(user=user, requested_by=user.pk)


def delete_account(*, user: User, requested_by: UUID | None = None) -> None:
    """Closes the account and takes the person out of its row, which frees the address; a job erases the rest."""
    with transaction.atomic():
        closed = User.objects.filter(pk=user.pk, deleted_at=None).update(
            is_active=False,
            deleted_at=Now(),
            deleted_by=requested_by,
            email=f"{user.pk}@deleted.invalid",
            name="",
            password=make_password(None),
        )
        if not closed:
            return
        _shut_out(user=user)
        ApiKey.objects.filter(user=user).delete()
        Session.objects.filter(user=user).update(user_agent="")
        IdempotencyRecord.objects.filter(user=user).delete()
        content_type = ContentType.objects.get_for_model(User)
        LogEntry.objects.filter(content_type=content_type, object_id=str(user.pk)).update(object_repr=str(user.pk))
        jobs.enqueue("documents.erase_user", user_id=str(user.pk))


def ensure_admin(*, email: str, password: str) -> bool:
    """Makes an admin of this address; returns False, changing nothing, where it is one already.

    An ordinary account of that name gets the new password and loses its sessions: whoever registered it first must not
    become admin by that.
    """
    email = normalise_email(email)
    with transaction.atomic():
        user = User.objects.select_for_update().filter(email=email).first() or User(email=email)
        if user.is_superuser and user.is_active:
            return False
        check_password_strength(password=password, user=user)
        user.is_active = user.is_staff = user.is_superuser = True
        user.set_password(password)
        user.save()
        User.objects.filter(pk=user.pk).update(email_verified_at=Now())
        _shut_out(user=user)
    return True
