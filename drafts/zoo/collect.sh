#!/bin/sh
# Ask TinyLlama for SECONDS, from where the kept answers end: collect.sh BIN WORK SECONDS. About 90 tokens a second on two cores.
set -eu
bin=$1
work=$2
seconds=$3
here=$(cd "$(dirname "$0")" && pwd)
kept=$here/tinyllama-1.1b-chat-answers
traces=$work/tinyllama-1.1b-chat-answers

mkdir -p "$traces" "$kept"
if [ ! -f "$traces/journal.jsonl" ] && [ -f "$kept/journal.jsonl.gz" ]; then
    gzip -dc "$kept/journal.jsonl.gz" > "$traces/journal.jsonl"
fi

"$bin/kilotoken" collect --target tinyllama-1.1b-chat --workload chat --workload copy --workload code --workload story \
    --max-tokens 192 --concurrency 48 --duration "$seconds" --out "$traces"
for name in journal.jsonl train.jsonl heldout.jsonl collect.json; do
    gzip -9nc "$traces/$name" > "$kept/$name.gz"
done
