#!/bin/sh
# Print a Python that can run ChatSphere. $PYTHON comes first, then the usual names.
for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3 python; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
        echo "$name"
        exit 0
    fi
done
found=$(python3 --version 2>/dev/null || echo none)
echo "error: ChatSphere needs Python 3.11, 3.12 or 3.13; found: $found. Name yours: make run PYTHON=/path/to/python3.11" >&2
exit 1
