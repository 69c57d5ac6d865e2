#!/usr/bin/env bash
# Follows the events on standard input with jq:
#   jackfield --hook-stdio-format json | examples/hooks/follow.sh
# Lines that are no events pass through.
set -u

prefix='RTMP_EVENT: '
while IFS= read -r line; do
    case $line in
        "$prefix"*)
            printf '%s\n' "${line#"$prefix"}" |
                jq --raw-output '"\(.time) \(.type) \(.stream_key // "-") \(.conn_id // "-") \(.data.reason // "")"'
            ;;
        *) printf '%s\n' "$line" ;;
    esac
done
