#!/usr/bin/env python3
"""A program for Jackfield that decides who may publish: an event on standard input, an answer on standard output.

It is started for each event, which costs the start of an interpreter; a worker is faster. What you print to standard error goes to the
server's log. `decide` is the part to change.
"""

import json
import os
import sys
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


if __name__ == "__main__":
    print(json.dumps(decide(json.load(sys.stdin))))
