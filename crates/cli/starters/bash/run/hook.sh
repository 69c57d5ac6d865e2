#!/usr/bin/env bash
# A program for Jackfield that decides who may publish. The event is in the variables RTMP_…, and as one line of JSON on
# standard input; the answer goes to standard output, what is for the server's log to standard error.
# `jackfield events NAME` shows the fields.
set -eu

# Other events are no matter of this hook: no output is no opinion.
[ "$RTMP_EVENT_TYPE" = authorize_publish ] || exit 0

case "&${RTMP_QUERY:-}&" in
    *"&token=${STREAM_TOKEN:-letmein}&"*) echo '{"decision":"allow"}' ;;
    # Only `public` reaches the client; `code` and `text` are for the log.
    *) echo '{"decision":"deny","reason":{"code":"bad_token","public":"Wrong or missing token."}}' ;;
esac
