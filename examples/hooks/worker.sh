#!/usr/bin/env bash
# The smallest worker: reads an event a line, answers it with a line. Needs no hello.
#   [[hook]]
#   name = "nights-off"
#   on = ["authorize_publish"]
#   worker = ["examples/hooks/worker.sh"]
while IFS= read -r event; do
    case $(jq --raw-output .data.app <<<"$event") in
        closed) echo '{"decision":"deny","reason":"This app is closed."}' ;;
        *) echo '{"decision":"pass"}' ;;
    esac
done
