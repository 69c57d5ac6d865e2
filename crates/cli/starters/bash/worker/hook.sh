#!/usr/bin/env bash
# A worker for Jackfield that decides who may publish: one line of JSON in, one line out, by jq.
#
# It says no hello, so the server sends it one event at a time. Standard output belongs to the protocol; what goes to
# standard error is in the server's log. `decide` is the part to change; `jackfield events NAME` shows the fields.
exec jq --unbuffered --compact-output --raw-input --arg token "${STREAM_TOKEN:-letmein}" '
    def decide:
        if .type != "authorize_publish" then {decision: "pass"}
        elif .data.query // "" | split("&") | index("token=" + $token) then {decision: "allow"}
        # Only `public` reaches the client; `code` and `text` are for the log.
        else {decision: "deny", reason: {code: "bad_token", public: "Wrong or missing token."}}
        end;
    # What is no event wants no answer; one event that goes wrong must not end the worker.
    (fromjson? // empty) | select(type == "object" and has("type"))
    | (try decide catch {decision: "deny", reason: {code: "hook_error"}})'
