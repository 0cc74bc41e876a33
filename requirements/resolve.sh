#!/bin/sh
# Resolve pyproject.toml into the pinned lists again: resolve.sh VENV
# Names and versions only: no index, no path, no hash, so the lists fit any mirror.
set -eu
venv=$1
cd "$(dirname "$0")/.."
find_links=$("$venv/bin/python" -m pip config get global.find-links 2>/dev/null | tr '\n' ',' | sed 's/,*$//' || true)
compile() {
    "$venv/bin/uv" pip compile pyproject.toml --python-version 3.11 --quiet --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "$@"
}
compile --extra gpu -o requirements/gpu.txt
if [ -n "$find_links" ]; then export UV_FIND_LINKS="$find_links"; backend=""; else backend="--torch-backend=cpu"; fi
# shellcheck disable=SC2086
compile --extra cpu --override requirements/overrides-cpu.txt $backend -o requirements/cpu.txt
compile --extra energy -c requirements/cpu.txt -o requirements/energy.txt
compile --extra dev -c requirements/cpu.txt -o requirements/dev.txt
compile -c requirements/cpu.txt -o requirements/base.txt
