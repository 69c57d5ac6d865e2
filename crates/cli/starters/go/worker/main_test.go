package main

import (
	"strings"
	"testing"
)

func TestEachEventIsAnsweredWithItsOwnId(t *testing.T) {
	lines := `no JSON

{"t":"event","d":"dlv_1","event":{"type":"authorize_publish","data":{"query":"token=letmein"}}}
{"t":"cancel","d":"dlv_1"}
{"type":"authorize_publish","data":{"query":"token=guess"}}
{"t":"drain"}
`
	var out strings.Builder
	if err := talk(strings.NewReader(lines), &out); err != nil {
		t.Fatal(err)
	}
	said := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(said) != 3 || !strings.HasPrefix(said[1], `{"d":"dlv_1","decision":"allow"`) ||
		!strings.HasPrefix(said[2], `{"decision":"deny"`) {
		t.Errorf("%q", said)
	}
}
