"""Tests of the hook: `python3 -m unittest` in this folder runs them."""

import json
import pathlib
import subprocess
import sys
import unittest

import hook

HERE = pathlib.Path(__file__).parent


def question(query):
    return {"type": "authorize_publish", "stream_key": "live/show", "data": {"query": query}}


class Decides(unittest.TestCase):
    def test_the_right_token_may_publish(self):
        self.assertEqual(hook.decide(question("token=letmein"))["decision"], "allow")

    def test_no_token_and_a_wrong_one_may_not(self):
        for query in ["", "token=guess", "letmein"]:
            self.assertEqual(hook.decide(question(query))["decision"], "deny")

    def test_other_events_are_no_matter_of_this_hook(self):
        self.assertEqual(hook.decide({"type": "publish_start", "data": {}}), {"decision": "pass"})


class Talks(unittest.TestCase):
    def test_each_event_is_answered_with_its_own_id(self):
        lines = [
            {"t": "event", "d": "dlv_1", "event": question("token=letmein")},
            {"t": "cancel", "d": "dlv_1"},
            {"t": "event", "d": "dlv_2", "event": {"broken": True, "type": "authorize_publish"}},
            question("token=guess"),
            {"t": "drain"},
        ]
        said = subprocess.run(
            [sys.executable, HERE / "hook.py"],
            input="no JSON\n\n" + "".join(json.dumps(line) + "\n" for line in lines),
            capture_output=True,
            check=True,
            text=True,
            timeout=20,
        ).stdout
        hello, *answers = [json.loads(line) for line in said.splitlines()]
        self.assertEqual(hello["t"], "hello")
        told = [(answer.get("d"), answer["decision"]) for answer in answers]
        self.assertEqual(told, [("dlv_1", "allow"), ("dlv_2", "deny"), (None, "deny")])


if __name__ == "__main__":
    unittest.main()
