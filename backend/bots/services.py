from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from agent_service.contract import DEFAULT_AGENT
from backend.bots.catalogue import catalogue
from backend.bots.errors import BotNotFound
from backend.bots.models import Bot, BotVersion, Visibility
from backend.core import jobs
from backend.credits import plans
from backend.users.models import User

CONFIGURATION_FIELDS = (
    "instructions",
    "agent",
    "model",
    "fallbacks",
    "temperature",
    "greeting",
    "suggested_questions",
    "strictness",
    "top_k",
    "threshold",
    "rewriting",
    "draw_filters",
    "neighbours",
    "rerank",
    "diversity",
    "follow_ups",
    "degrade",
    "tools",
    "step_limit",
    "seconds_limit",
    "credit_limit",
    "chunk_chars",
    "chunk_overlap",
)
_CHUNKING_FIELDS = ("chunk_chars", "chunk_overlap")


def create_bot(
    *,
    owner: User,
    name: str,
    description: str = "",
    visibility: str = Visibility.PRIVATE,
    configuration: Mapping[str, Any] | None = None,
) -> Bot:
    """Raises ModelUnknown, QuotaExceeded."""
    configuration = configuration or {}
    _check_models(configuration)
    with transaction.atomic():
        plans.one_at_a_time(owner.pk)
        used = Bot.objects.filter(owner=owner, deleted_at=None).count()
        plans.check(plans.plan_of(owner.pk), "bots", used=used, more=1)
        bot = Bot.objects.create(owner=owner, name=name, description=description, visibility=visibility)
        bot.version = BotVersion.objects.create(bot=bot, number=1, author=owner, **configuration)
        bot.save(update_fields=["version"])
    bot.refresh_from_db(fields=["created_at", "updated_at"])
    return bot


def update_bot(
    *, bot: Bot, author: User, changes: Mapping[str, Any], configuration: Mapping[str, Any] | None = None
) -> Bot:
    """Set name, description or visibility, and add a version where `configuration` differs. Raises ModelUnknown."""
    configuration = configuration or {}
    _check_models(configuration)
    with transaction.atomic():
        locked = _locked(bot)
        _add_version(bot=locked, author=author, configuration=configuration)
        for field, value in changes.items():
            setattr(locked, field, value)
        locked.save(update_fields=[*changes])
        Bot.objects.filter(pk=bot.pk).update(updated_at=Now())
    locked.refresh_from_db(fields=["updated_at"])
    return locked


def restore_version(*, bot: Bot, author: User, version: BotVersion) -> Bot:
    """Make `version` the configuration again, as a new version: history is never rewritten."""
    return update_bot(
        bot=bot,
        author=author,
        changes={},
        configuration={field: getattr(version, field) for field in CONFIGURATION_FIELDS},
    )


def delete_bot(*, bot: Bot, requested_by: UUID | None = None) -> None:
    """Hide it at once; a job erases documents, vectors and conversations, and then the row."""
    with transaction.atomic():
        if Bot.objects.filter(pk=bot.pk, deleted_at=None).update(deleted_at=Now(), deleted_by=requested_by):
            jobs.enqueue("documents.erase_bot", bot_id=str(bot.pk))


def settle_embedding(*, bot: Bot) -> str:
    """The bot's embedding id, fixed now to the deployment's default where it was open. Raises AgentError."""
    if not bot.embedding:
        Bot.objects.filter(pk=bot.pk, embedding="").update(embedding=catalogue.embedding())
        bot.refresh_from_db(fields=["embedding"])
    return bot.embedding


def _check_models(configuration: Mapping[str, Any]) -> None:
    for model in filter(None, (configuration.get("model"), *configuration.get("fallbacks", ()))):
        catalogue.model(model)
    agent = configuration.get("agent", DEFAULT_AGENT)
    if agent != DEFAULT_AGENT:  # which is always there
        catalogue.check_agent(agent)


def _locked(bot: Bot) -> Bot:
    locked: Bot | None = (
        Bot.objects.select_for_update(of=("self",)).select_related("version").filter(pk=bot.pk, deleted_at=None).first()
    )
    if locked is None:
        raise BotNotFound
    return locked


def _add_version(*, bot: Bot, author: User, configuration: Mapping[str, Any]) -> None:
    current = bot.configuration
    state = {field: getattr(current, field) for field in CONFIGURATION_FIELDS}
    wanted = {**state, **configuration}
    if wanted == state:
        return
    newest = BotVersion.objects.filter(bot=bot).order_by("-number").values_list("number", flat=True)[0]
    bot.version = BotVersion.objects.create(bot=bot, number=newest + 1, author=author, **wanted)
    bot.save(update_fields=["version"])
    if any(wanted[field] != state[field] for field in _CHUNKING_FIELDS):
        jobs.enqueue("documents.reindex_bot", bot_id=str(bot.pk))
