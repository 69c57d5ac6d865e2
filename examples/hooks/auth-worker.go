// The same worker as auth-worker.py, in Go: each question in a goroutine of its own, so that a slow one holds up no other.
//
//	go build -o target/auth-worker-go examples/hooks/auth-worker.go
//
//	[[hook]]
//	name = "auth"
//	on = ["authorize_publish", "authorize_play"]
//	worker = ["target/auth-worker-go"]
package main

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"sync"
)

type event struct {
	Type string `json:"type"`
	Data struct {
		Query string `json:"query"`
	} `json:"data"`
}

// frame is a line of the server. One that was sent before the server had read the hello is a bare event.
type frame struct {
	event
	Kind     string `json:"t"`
	Delivery string `json:"d"`
	Framed   event  `json:"event"`
}

type answer struct {
	Delivery string            `json:"d,omitempty"`
	Decision string            `json:"decision"`
	Reason   map[string]string `json:"reason,omitempty"`
}

func decide(event event) answer {
	token := os.Getenv("STREAM_TOKEN")
	if token == "" {
		token = "letmein"
	}
	if query, err := url.ParseQuery(event.Data.Query); err == nil && query.Get("token") == token {
		return answer{Decision: "allow"}
	}
	return answer{Decision: "deny", Reason: map[string]string{"code": "bad_token", "public": "Wrong or missing token."}}
}

func main() {
	var lines sync.Mutex
	out := json.NewEncoder(os.Stdout) // one line for each value
	say := func(message any) {
		lines.Lock()
		defer lines.Unlock()
		if out.Encode(message) != nil {
			os.Exit(1) // the server is gone
		}
	}
	var underway sync.WaitGroup
	say(map[string]any{"t": "hello", "proto": []int{1}, "concurrency": 16})
	in := bufio.NewReader(os.Stdin)
	for {
		line, end := in.ReadBytes('\n')
		var frame frame
		switch {
		case json.Unmarshal(line, &frame) != nil:
			// Nothing that the server sends.
		case frame.Kind == "event":
			underway.Add(1)
			go func() {
				defer underway.Done()
				said := decide(frame.Framed)
				said.Delivery = frame.Delivery
				say(said)
			}()
		case frame.Kind == "" && frame.Type != "":
			say(decide(frame.event))
		}
		if end != nil || frame.Kind == "drain" {
			break
		}
	}
	underway.Wait()
}
