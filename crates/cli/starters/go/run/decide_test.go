package main

import "testing"

func TestOnlyTheRightTokenMayPublish(t *testing.T) {
	for query, expect := range map[string]string{
		"token=letmein": "allow", "a=1&token=letmein": "allow", "token=guess": "deny", "": "deny",
	} {
		event := Event{Type: "authorize_publish", Data: map[string]any{"query": query}}
		if said := Decide(event); said.Decision != expect {
			t.Errorf("%q: %s and not %s", query, said.Decision, expect)
		}
	}
}

func TestOtherEventsAreNoMatterOfThisHook(t *testing.T) {
	if said := Decide(Event{Type: "publish_start"}); said.Decision != "pass" {
		t.Errorf("%s", said.Decision)
	}
}
