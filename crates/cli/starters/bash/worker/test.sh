#!/usr/bin/env bash
# Tests of the hook: ./test.sh runs them.
set -eu
cd "$(dirname "$0")"

check() { # what, the lines that the hook gets, the decisions that are expected
    said=$(printf '%s\n' "$2" | ./hook.sh | jq --raw-output .decision | paste -sd ' ')
    [ "$said" = "$3" ] || { echo "FAIL $1: '$said' and not '$3'" >&2; exit 1; }
    echo "ok   $1"
}
question() { printf '{"type":"authorize_publish","data":{"query":"%s"}}' "$1"; }

check 'the right token may publish' "$(question token=letmein)" allow
check 'the right token among others' "$(question 'a=1&token=letmein')" allow
check 'a wrong token may not' "$(question token=guess)" deny
check 'no token may not' '{"type":"authorize_publish","data":{}}' deny
check 'other events are no matter of this hook' '{"type":"publish_start","data":{}}' pass
check 'lines are answered one by one, and nonsense is not' \
    "$(printf '%s\n' "$(question token=guess)" 'no JSON' '' '{"type":"authorize_publish","data":5}' "$(question token=letmein)")" \
    'deny deny allow'
