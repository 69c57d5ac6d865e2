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


class Runs(unittest.TestCase):
    def test_an_event_on_standard_input_is_answered_on_standard_output(self):
        said = subprocess.run(
            [sys.executable, HERE / "hook.py"],
            input=json.dumps(question("token=guess")) + "\n",
            capture_output=True,
            check=True,
            text=True,
            timeout=20,
        ).stdout
        self.assertEqual(json.loads(said)["reason"]["public"], "Wrong or missing token.")


if __name__ == "__main__":
    unittest.main()
