#!/bin/sh
# Train the drafts that ship again, from nothing: train.sh BIN WORK. About four hours on two cores; killed, it goes on.
set -eu
bin=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)

# The answers that are kept are the greater part of the time; collect.sh makes them.
set -- --workload chat --workload copy --workload code --workload story
answers=$here/tinyllama-1.1b-chat-answers
[ ! -f "$answers/collect.json.gz" ] || set -- --traces "$answers"
"$bin/kilotoken" draft make --target tinyllama-1.1b-chat --kind distil --start stories-15m --set train_embedding=false \
    "$@" --k 4 --budget 3h --out "$work/tinyllama-1.1b-draft-15m"
"$bin/kilotoken" models fetch stories-15m
base=$("$bin/kilotoken" models --json | "$bin/python" -c \
    'import json, sys; print(next(row["directory"] for row in json.load(sys.stdin) if row["name"] == "stories-15m"))')
"$bin/python" -m drafts.pack_draft "$work/tinyllama-1.1b-draft-15m/draft" "$here/tinyllama-1.1b-draft-15m" stories-15m "$base"

"$bin/kilotoken" draft make --target smollm2-135m-instruct --kind eagle3 \
    --workload chat --workload copy --k 3 --budget 60m --set vocabulary_sizes=[4096] \
    --out "$work/smollm2-135m-eagle3"
"$bin/python" -m drafts.pack_draft "$work/smollm2-135m-eagle3/draft" "$here/smollm2-135m-eagle3"
