#!/usr/bin/env bash
# publish_start: tells people that a stream is live.
#   jackfield --hook-script publish_start=examples/hooks/notify-start.sh
# CHAT_WEBHOOK_URL comes from the server's environment; without it the script only prints and notes.
set -eu

line="$RTMP_STREAM_KEY is live, published by $RTMP_CLIENT_IP (connection $RTMP_CONN_ID)"
echo "$line"
[ -z "${NOTE_FILE:-}" ] || echo "$line" >>"$NOTE_FILE"

if [ -n "${CHAT_WEBHOOK_URL:-}" ]; then
    jq -n --arg content "$line" '{content: $content}' |
        curl --silent --show-error --fail --max-time 10 \
            --header 'Content-Type: application/json' --data @- "$CHAT_WEBHOOK_URL"
fi
