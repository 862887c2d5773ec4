"""BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) over the postings, as
statements of PostgreSQL: in one namespace, or in several as if they were one.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from agent_service.ports import Asked, Lexicon

K1, B = 1.2, 0.75
FEWEST_CHUNKS = 50
"""Of a smaller namespace no term is rare; for the confidence it counts as one of so many chunks."""
COMMON_FROM = 1000
"""Chunks of a namespace in which a term of more than half of them is looked for only where the question has no rarer
one: it tells no chunk from another, in the formula's first form it even counts against one, and reading all its
postings takes longer than all else. What is smaller is searched fast with all terms.
"""
READ = 20_000
READ_SHARE = 0.1
"""Postings that are read for one question, or so many for each chunk of the namespace where that is more; those of its
rarest terms first. What is left, the frequent terms of a large namespace, is looked up for the best that the others
find: that hardly changes which those are, and reading it takes longer than all else.
"""
READ_ANYWAY = 2_000
"""While fewer are read the next term is read too, however frequent: a misspelt word alone finds nothing."""
COMPLETED = 1_000
"""Of so many it is looked up."""
FREQUENT = 1_000
"""Chunks, from which on it is worth remembering in how many a term is."""
GROUP_BITS = 8
"""So many lexicons lie together in the postings' index, a power of two. A term of many namespaces is looked up once for
each group, and a single namespace's postings still lie close together."""

_OF_ONE = f"""
    from vectors.posting
    where lexicon >> {GROUP_BITS} = %(lexicon)s::int >> {GROUP_BITS} and lexicon = %(lexicon)s::int
        and term = given.term
"""
_OF_MANY = f"""
    from space cross join lateral (
        select lexicon, number, tf, len from vectors.posting
        where lexicon >> {GROUP_BITS} = space.together and term = given.term and lexicon = any (space.lexicons)
        offset 0
    ) posting
    where true
"""  # noqa: S608
_SPACE = f"""
    space as materialized (
        select id >> {GROUP_BITS} as together, array_agg(id order by id) as lexicons
        from unnest(%(lexicons)s::int[]) id group by together
    ),
"""  # noqa: S608
_CHOSEN = """
    chosen as materialized (
        select lexicon, number from vectors.lexical_chunk
        where lexicon = {lexicon} and document = any (%(documents)s)
    ),
"""
_SEARCH = """
    with {space} {chosen} known as materialized (
        select part, term, weight * ln(1 + (greatest(%(n)s::int - df, 0) + 0.5) / (df + 0.5)) as weight,
            weight * ln(1 + (greatest(%(n)s::int, %(fewest)s::int) - least(df, %(n)s::int) + 0.5) / (df + 0.5)) as sure,
            df, df > %(most)s::float8 as common
        from (
            select given.part, given.term, given.weight, coalesce(given.df, (select count(*) {postings}))::float8 as df
            from unnest(%(parts)s::int[], %(terms)s::int[], %(weights)s::float8[], %(counts)s::int[])
                as given (part, term, weight, df)
            offset 0
        ) counted
    ), asked as materialized (
        select *, rarer < %(read_anyway)s::float8 or rarer + df <= %(read)s::float8 as is_read
        from (
            select *, coalesce(sum(df) over (
                order by df, term, part rows between unbounded preceding and 1 preceding
            ), 0) as rarer
            from known where not common or not exists (select from known where df > 0 and not common)
        ) ordered
    ), found as materialized (
        select lexicon, number, sum(given.weight * full_tf) as score, sum(given.sure * full_tf) as sure
        from asked given
        cross join lateral (
            select lexicon, number, {full_tf} as full_tf
            {postings} {among}
            offset 0
        ) read
        where given.df > 0 and given.is_read
        group by lexicon, number order by score desc, lexicon, number
        limit case when exists (select from asked where not is_read) then %(completed)s::int else %(limit)s::int end
    ), best as (
        select lexicon, number, sum(score) as score, sum(sure) as sure
        from (
            select * from found
            union all
            select found.lexicon, found.number, given.weight * full_tf, given.sure * full_tf
            from asked given cross join found cross join lateral (
                select {full_tf} as full_tf from vectors.posting
                where lexicon >> {bits} = found.lexicon >> {bits} and term = given.term
                    and lexicon = found.lexicon and number = found.number
                offset 0
            ) looked_up
            where not given.is_read
        ) completed
        group by lexicon, number order by score desc, lexicon, number limit %(limit)s::int
    )
    select uuid_send(chunk.chunk), uuid_send(chunk.document), uuid_send(chunk.version), best.score, best.sure,
        (select sum(most) from (select max(sure) as most from asked group by part) parts) as all_sure,
        (select array_agg(term) from known where df >= %(frequent)s::float8) as frequent,
        (select array_agg(df::int) from known where df >= %(frequent)s::float8) as chunks_with,
        (select array_agg(term) from known where df = 0) as missing {name}
    from best join vectors.lexical_chunk chunk on chunk.lexicon = best.lexicon and chunk.number = best.number {names}
    order by best.score desc, chunk.chunk
"""
"""BM25 without its constant factor K1 + 1, so that a term is worth at most its weight. `offset 0` keeps the planner
from joining the terms with all postings of the namespace, which it takes for few: each is looked up in the index.
"""
_FULL_TF = "tf / (tf + %(shortest)s::float8 + %(longer)s::float8 * len)"


def statement(*, many: bool, documents: bool) -> str:
    """Its rows: chunk, document and version as bytes, score, what of it counts for the confidence, the most that could,
    the frequent terms, in how many chunks each is, those that no chunk has, and of many the namespace."""
    return _SEARCH.format(
        space=_SPACE if many else "",
        chosen=_CHOSEN.format(lexicon="any (%(lexicons)s::int[])" if many else "%(lexicon)s::int") if documents else "",
        postings=_OF_MANY if many else _OF_ONE,
        full_tf=_FULL_TF,
        bits=GROUP_BITS,
        among="and (lexicon, number) in (select lexicon, number from chosen)" if documents else "",
        name=", lexicon.namespace" if many else "",
        names="join vectors.lexicon lexicon on lexicon.id = best.lexicon" if many else "",
    )


def parameters(
    lexicon: Lexicon,
    asked: Sequence[Asked],
    limit: int,
    documents: Collection[UUID] | None = None,
    counts: Mapping[int, int] | None = None,
) -> dict[str, Any]:
    """`counts`: in how many chunks a term is, where that is known."""
    given = [(part, term, one.weight) for part, one in enumerate(asked) for term in sorted(one.forms)]
    return {
        "lexicon": lexicon.keys[0],
        "lexicons": array(tuple(lexicon.keys)),
        "parts": [part for part, _, _ in given],
        "terms": [term for _, term, _ in given],
        "weights": [weight for _, _, weight in given],
        "counts": _or_unknown((counts or {}).get(term) for _, term, _ in given),
        "n": lexicon.chunks,
        "fewest": FEWEST_CHUNKS,
        "most": lexicon.chunks / 2 if lexicon.chunks >= COMMON_FROM else math.inf,
        "frequent": FREQUENT,
        # Of chosen documents all is read: what is rare among all may not be in any of them.
        "read": max(READ, READ_SHARE * lexicon.chunks) if documents is None else math.inf,
        "read_anyway": READ_ANYWAY,
        "completed": max(COMPLETED, limit),
        "shortest": K1 * (1 - B),
        "longer": K1 * B / max(1.0, lexicon.words / lexicon.chunks),
        "limit": limit,
        "documents": None if documents is None else list(documents),
    }


@lru_cache(64)
def array(numbers: tuple[int, ...]) -> str:
    """As PostgreSQL reads it: ten thousand of them one by one take longer than the search."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _or_unknown(counts: Iterable[int | None]) -> str:
    return "{" + ",".join("null" if count is None else str(count) for count in counts) + "}"
