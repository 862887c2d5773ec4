"""What Office's packages have in common: parts that point at other parts by relationships."""

import posixpath
from typing import NamedTuple

from backend.documents.parser.archive import Archive
from backend.documents.parser.markup import Attributes, Handler, local, parse
from backend.documents.parser.reading import Unreadable


class Relation(NamedTuple):
    """`kind` is the last word of its type, such as "slide"; `target` the name of a part."""

    kind: str
    target: str


def relations(archive: Archive, part: str) -> dict[str, Relation]:
    """By id, the parts that a part points at; what lies outside of the archive is left out."""
    folder, name = posixpath.split(part)
    listing = f"{folder}/_rels/{name}.rels"
    if listing not in archive:
        return {}
    reader = _Relations(folder)
    parse(archive.blocks(listing), reader)
    return {key: relation for key, relation in reader.found.items() if relation.target in archive}


def main_part(archive: Archive, name: str) -> str:
    """Raises Unreadable where the package is one of another program."""
    if name not in archive:
        raise Unreadable("corrupt_file")
    return name


class _Relations(Handler):
    def __init__(self, folder: str) -> None:
        self.found: dict[str, Relation] = {}
        self._folder = folder

    def start(self, name: str, attributes: Attributes) -> None:
        if local(name) == "Relationship" and attributes.get("TargetMode") != "External":
            kind = attributes.get("Type", "").rpartition("/")[2]
            target = posixpath.normpath(posixpath.join("/", self._folder, attributes.get("Target", "")))
            self.found[attributes.get("Id", "")] = Relation(kind, target.lstrip("/"))
