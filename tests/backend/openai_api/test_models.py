"""`GET /v1/models`, with OpenAI's own package."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from backend.bots.models import Visibility
from backend.bots.services import create_bot, delete_bot
from backend.core.ids import uuid7
from backend.users.models import User

OpenAIOf = Callable[[User], Any]


def test_own_bots_come_first_then_the_public_ones(openai_of: OpenAIOf, owner: User, stranger: User) -> None:
    private = create_bot(owner=owner, name="Mine")
    public = create_bot(owner=stranger, name="Open", visibility=Visibility.PUBLIC)
    create_bot(owner=stranger, name="Theirs")
    create_bot(owner=stranger, name="Hidden", visibility=Visibility.UNLISTED)
    models = openai_of(owner).models.list().data
    assert [(model.id, model.owned_by) for model in models] == [(str(private.pk), "you"), (str(public.pk), "others")]
    assert models[0].name == "Mine"


def test_an_unlisted_bot_is_found_by_its_id(openai_of: OpenAIOf, owner: User, stranger: User) -> None:
    hidden = create_bot(owner=stranger, name="Hidden", visibility=Visibility.UNLISTED)
    assert openai_of(owner).models.retrieve(str(hidden.pk)).id == str(hidden.pk)


def test_foreign_deleted_and_unknown_models_are_alike(openai_of: OpenAIOf, owner: User, stranger: User) -> None:
    deleted = create_bot(owner=owner, name="Gone")
    delete_bot(bot=deleted)
    foreign = create_bot(owner=stranger, name="Theirs")
    bodies = []
    for model in (foreign.pk, deleted.pk, uuid7(), "gpt-5"):
        with pytest.raises(openai.NotFoundError) as missing:
            openai_of(owner).models.retrieve(str(model))
        bodies.append(missing.value.body)
    assert bodies[0] == bodies[1] == bodies[2] == bodies[3]
