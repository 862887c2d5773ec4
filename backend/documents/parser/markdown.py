"""Markdown is kept as it was written: a quote from it is found again in the file."""

from backend.documents.parser.text import read

__all__ = ["read"]
