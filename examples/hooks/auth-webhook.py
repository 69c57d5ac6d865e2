#!/usr/bin/env python3
"""A webhook that decides who may publish: a publisher needs ?token= with the value of PUBLISH_TOKEN.

    PUBLISH_TOKEN=letmein examples/hooks/auth-webhook.py 9000
    jackfield --hook-webhook authorize_publish=http://127.0.0.1:9000/auth

The first argument is the port; 0 takes a free one. The first line printed is the address.
"""

import hmac
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

LARGEST_BODY = 64 * 1024
TOKEN = os.environ.get("PUBLISH_TOKEN", "letmein")


def decide(event):
    query = parse_qs(event["data"].get("query", ""))
    token = query.get("token", [""])[0]
    if hmac.compare_digest(token.encode(), TOKEN.encode()):
        return {"decision": "allow"}
    reason = {"code": "bad_token", "public": "Wrong or missing token."}
    return {"decision": "deny", "reason": reason}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection for the next question
    disable_nagle_algorithm = True

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.send_error(413)
            return
        try:
            answer = json.dumps(decide(json.loads(self.rfile.read(length)))).encode()
        except (ValueError, KeyError, TypeError):
            self.send_error(400)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, form, *args):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}/auth", flush=True)
    server.serve_forever()
