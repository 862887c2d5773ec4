"""Reads files that nobody has checked. Runs in a process of its own (`child`), knows nothing of Django, and imports for
each format only what that format needs."""
