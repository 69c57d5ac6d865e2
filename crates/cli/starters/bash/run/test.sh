#!/usr/bin/env bash
# Tests of the hook: ./test.sh runs them.
set -eu
cd "$(dirname "$0")"

check() { # what, type of event, query, the answer's beginning
    said=$(RTMP_EVENT_TYPE=$2 RTMP_QUERY=$3 ./hook.sh </dev/null)
    case $said in
        "$4"*) echo "ok   $1" ;;
        *) echo "FAIL $1: '$said' and not '$4'" >&2; exit 1 ;;
    esac
}

check 'the right token may publish' authorize_publish token=letmein '{"decision":"allow"'
check 'the right token among others' authorize_publish 'a=1&token=letmein' '{"decision":"allow"'
check 'a wrong token may not' authorize_publish token=guess '{"decision":"deny"'
check 'no token may not' authorize_publish '' '{"decision":"deny"'
check 'other events are no matter of this hook' publish_start token=guess ''
