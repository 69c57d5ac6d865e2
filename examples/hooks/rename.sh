#!/usr/bin/env bash
# resolve_publish: the name that the encoder sends is a secret key; publish it under its public name.
#   jackfield --hook-script resolve_publish=examples/hooks/rename.sh
# KEYS_FILE has lines of "secret public". The event is on standard input, too; variables do for this.
set -eu

public=$(awk -v key="$RTMP_STREAM_NAME" '$1 == key { print $2; exit }' "${KEYS_FILE:-keys.txt}")
if [ -z "$public" ]; then
    echo "Unknown stream key." >&2
    exit 77 # deny; the first line of standard error is the reason
fi
printf '{"decision":"replace","value":"%s"}\n' "$public"
