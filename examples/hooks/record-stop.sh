#!/usr/bin/env bash
# publish_stop: ends the recording that record-start.sh began.
set -eu

dir=${RECORD_DIR:-recordings}
pid_file="$dir/$RTMP_CONN_ID.pid"
echo "$RTMP_STREAM_KEY was live for $RTMP_DURATION_SECONDS s, $((RTMP_BYTES_RECEIVED / 1024)) KiB"

if [ -f "$pid_file" ]; then
    # ffmpeg finishes its file at SIGINT or SIGTERM; it may have ended with the stream already.
    kill "$(cat "$pid_file")" 2>/dev/null || true
    rm -f "$pid_file"
fi
