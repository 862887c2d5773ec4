"""XML that nobody has checked, as a stream of elements: nothing is built in memory, no entity is expanded."""

from collections.abc import Iterable
from xml.parsers import expat

from backend.documents.parser.reading import Unreadable

_BETWEEN = " "  # of namespace and name, as expat gives them

Attributes = dict[str, str]


class Handler:
    """Gets each element's name with its namespace before it, separated by a space. By itself it takes no notice."""

    def start(self, name: str, attributes: Attributes) -> None:
        pass

    def end(self, name: str) -> None:
        pass

    def characters(self, data: str) -> None:
        pass


class Enough(Exception):
    """Raised by a handler that has seen what it wanted."""


def parse(xml: bytes | Iterable[bytes], handler: Handler, *, doctype: bool = False) -> None:
    """Raises Unreadable where it is not well-formed or defines entities, and unless `doctype`, where it has a DOCTYPE,
    which most formats never write."""
    parser = expat.ParserCreate(namespace_separator=_BETWEEN)
    parser.buffer_text = True
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.characters
    parser.EntityDeclHandler = _refuse
    if not doctype:
        parser.StartDoctypeDeclHandler = _refuse
    try:
        for block in [xml] if isinstance(xml, bytes) else xml:
            parser.Parse(block, False)
        parser.Parse(b"", True)
    except expat.ExpatError as exc:
        raise Unreadable("corrupt_file") from exc
    except Enough:
        return


def local(name: str) -> str:
    """An element's or attribute's name without its namespace."""
    return name.rpartition(_BETWEEN)[2]


def attribute(attributes: Attributes, name: str) -> str:
    """The value of the attribute of that name, whatever its namespace; empty where there is none."""
    if name in attributes:
        return attributes[name]
    return next((value for key, value in attributes.items() if local(key) == name), "")


def _refuse(*_: object) -> None:
    """Entities are what the attacks on XML parsers are made of."""
    raise Unreadable("corrupt_file")
