"""A connector whose place is a dictionary, for what all connectors have in common."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from backend.bots.models import Bot
from backend.documents.models import Kind
from backend.sources.connectors import Prepared, Run, registry
from backend.sources.errors import SourceInvalid
from backend.sources.models import Source

KIND = "stand_in"


@dataclass
class StandIn:
    """`place` is what there is to read, by external id; `before` is called before each item."""

    place: dict[str, str] = field(default_factory=dict)
    before: Callable[[Run, str], None] = lambda run, name: None
    forgotten: list[UUID] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    kinds = (KIND,)
    document_kind = Kind.WEB

    def prepare(self, *, bot: Bot, kind: str, configuration: Mapping[str, Any]) -> Prepared:
        if "name" not in configuration:
            raise SourceInvalid("name_missing", "A name is needed.")
        return Prepared(configuration, identity=str(configuration["name"]), title=str(configuration["name"]))

    def sync(self, run: Run) -> None:
        names = list(run.pending().values_list("external_id", flat=True)) if run.partial else sorted(self.place)
        for name in names[run.cursor.get("done", 0) :]:
            run.check()
            self.before(run, name)
            self.asked.append(name)
            if name in self.place:
                text = self.place[name].encode()
                run.put(name, title=name, link=f"https://place.example/{name}", filename=f"{name}.txt", content=text)
            run.save({"done": names.index(name) + 1})
        for item in [] if run.partial else list(run.unseen()):
            run.remove(item.external_id)

    def forget(self, source: Source) -> None:
        self.forgotten.append(source.pk)


@contextmanager
def registered() -> Iterator[StandIn]:
    connector = StandIn()
    registry.register(connector)
    yield connector
    registry._by_kind.pop(KIND)
