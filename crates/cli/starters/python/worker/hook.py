#!/usr/bin/env python3
"""A worker for Jackfield that decides who may publish: one line of JSON in, one line out.

Standard output belongs to the protocol; what you print to standard error goes to the server's log.
`decide` is the part to change.
"""

import json
import os
import sys
import traceback
from urllib.parse import parse_qs

TOKEN = os.environ.get("STREAM_TOKEN", "letmein")


def decide(event):
    """What this hook says to an event. `jackfield events NAME` shows the fields of each."""
    if event.get("type") != "authorize_publish":
        return {"decision": "pass"}
    token = parse_qs(event["data"].get("query", "")).get("token", [""])[0]
    if token == TOKEN:
        return {"decision": "allow"}
    # Only `public` reaches the client; `code` and `text` are for the log.
    return {"decision": "deny", "reason": {"code": "bad_token", "public": "Wrong or missing token."}}


def decide_or_deny(event):
    """One event that goes wrong must not end the worker."""
    try:
        return decide(event)
    except Exception:
        traceback.print_exc()
        return {"decision": "deny", "reason": {"code": "hook_error"}}


def answer(line):
    """The answer to a line, or None if it wants none."""
    try:
        frame = json.loads(line)
    except ValueError:
        return None
    if not isinstance(frame, dict):
        return None
    if frame.get("t") == "event":
        return {"d": frame["d"], **decide_or_deny(frame["event"])}
    if "t" not in frame and "type" in frame:
        # Sent before the server had read the hello: a bare event, answered by a bare answer.
        return decide_or_deny(frame)
    return None  # cancel, drain, and whatever later versions say


def main():
    # With the hello the server sends up to 16 events at once; they may be answered in any order.
    print(json.dumps({"t": "hello", "proto": [1], "concurrency": 16}), flush=True)
    for line in sys.stdin:
        said = answer(line)
        if said is not None:
            print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
