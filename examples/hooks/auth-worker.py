#!/usr/bin/env python3
"""A long-lived worker that decides who may publish and play: one line in, one line out.

    [[hook]]
    name = "auth"
    on = ["authorize_publish", "authorize_play"]
    worker = ["examples/hooks/auth-worker.py"]

The hello line tells the server that answers carry the delivery's id, so that it may ask several
questions at once. Standard output belongs to the protocol; print to standard error to log.
"""

import json
import os
import sys
from urllib.parse import parse_qs

TOKEN = os.environ.get("STREAM_TOKEN", "letmein")


def say(message):
    print(json.dumps(message), flush=True)


def decide(event):
    token = parse_qs(event["data"].get("query", "")).get("token", [""])[0]
    if token == TOKEN:
        return {"decision": "allow"}
    return {"decision": "deny", "reason": {"code": "bad_token", "public": "Wrong or missing token."}}


say({"t": "hello", "proto": [1], "concurrency": 16})
for line in sys.stdin:
    frame = json.loads(line)
    if frame.get("t") == "drain":
        break
    if frame.get("t") == "event":
        say({"d": frame["d"], **decide(frame["event"])})
    elif "type" in frame:
        # Sent before the server had read the hello: a bare event, answered by a bare answer.
        say(decide(frame))
