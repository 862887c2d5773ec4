#!/usr/bin/env bash
# Re-make the locks after editing a *.in file (`make lock`). One resolution (dev) constrains the others, so that a version is
# the same everywhere. Versions stay as they are where nothing asks for another; `--upgrade` moves them all.
set -euo pipefail
cd "$(dirname "$0")"
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"${PYTHON:-python3}" -m venv "$tool"
"$tool/bin/python" -m pip install -qq --no-input --disable-pip-version-check uv
compile() {
    "$tool/bin/uv" pip compile --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate --override overrides.in --quiet "$@"
}
compile dev.in -o dev.txt "$@"
for name in run backend agent neural programs; do compile "$name.in" -c dev.txt -o "$name.txt" "$@"; done
