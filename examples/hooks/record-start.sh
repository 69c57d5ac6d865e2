#!/usr/bin/env bash
# publish_start: records the stream in the background, from its first key frame on.
#   jackfield --hook-script publish_start=examples/hooks/record-start.sh \
#             --hook-script publish_stop=examples/hooks/record-stop.sh
# The script ends at once; the ffmpeg that it leaves behind lives on until record-stop.sh ends it, or
# the server stops. RECORD_DIR and MEDIA_URL come from the server's environment.
set -eu

dir=${RECORD_DIR:-recordings}
mkdir -p "$dir"
file="$dir/${RTMP_STREAM_KEY//\//_}_$RTMP_EPOCH.flv"

# Its output goes to a log of its own.
ffmpeg -nostdin -v error -y -i "${MEDIA_URL:-rtmp://localhost:1935}/$RTMP_STREAM_KEY" \
    -c copy -f flv "$file" >"$file.log" 2>&1 &
echo $! >"$dir/$RTMP_CONN_ID.pid"
echo "Recording $RTMP_STREAM_KEY into $file"
