"""Looking for words in one's own conversations.

Every text of the person is read: 0.3 s for 2,000 conversations of 20,000 texts, and nothing to write when an answer is
stored. A word is found wherever it stands, inside of others too, in every script.
"""

from typing import Any

import django_filters
from django.db.models import CharField, Lookup, Q, QuerySet, TextField

from backend.conversations.models import Answer, Conversation, Message, Origin
from backend.users.current import user_of

WORDS = 8
CHARS = 200


@CharField.register_lookup
@TextField.register_lookup
class ILike(Lookup):
    """A pattern, in any case. Half the work of `icontains`, which writes both sides in capitals first."""

    lookup_name = "ilike"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} ILIKE {right}", [*left_params, *right_params]


class ConversationFilter(django_filters.FilterSet):
    bot = django_filters.UUIDFilter("bot_id")
    origin = django_filters.ChoiceFilter(
        choices=Origin.choices, label="which way they came in; those of a person where nothing is said"
    )
    search = django_filters.CharFilter(
        method="saying", max_length=CHARS, label="words that all stand in the title, a question or an answer"
    )

    def filter_queryset(self, queryset: QuerySet[Conversation]) -> QuerySet[Conversation]:
        """What programs have asked fills no person's list, unless it is asked for."""
        found: QuerySet[Conversation] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("origin") else found.filter(origin=Origin.CHAT)

    def saying(self, conversations: QuerySet[Conversation], _name: str, value: str) -> QuerySet[Conversation]:
        patterns = [f"%{_literal(word)}%" for word in value.split()[:WORDS]]
        user = user_of(self.request)
        texts: list[QuerySet[Any]] = [rows.objects.filter(user=user) for rows in (Message, Answer)]
        titled = Q()
        for pattern in patterns:
            titled &= Q(title__ilike=pattern)
            texts = [rows.filter(text__ilike=pattern) for rows in texts]
        for rows in texts:
            titled |= Q(pk__in=rows.values("conversation"))
        return conversations.filter(titled)


def _literal(word: str) -> str:
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
