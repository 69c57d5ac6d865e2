package main

import (
	"net/url"
	"os"
)

// Event is what Jackfield tells. `jackfield events NAME` shows the fields of each.
type Event struct {
	Type      string         `json:"type"`
	StreamKey string         `json:"stream_key"`
	Data      map[string]any `json:"data"`
}

// Answer is what this hook says.
type Answer struct {
	Delivery string  `json:"d,omitempty"`
	Decision string  `json:"decision"`
	Reason   *Reason `json:"reason,omitempty"`
}

// Reason of a denial. Only Public reaches the client; Code and Text are for the log.
type Reason struct {
	Code   string `json:"code,omitempty"`
	Text   string `json:"text,omitempty"`
	Public string `json:"public,omitempty"`
}

// Decide is the part to change.
func Decide(event Event) Answer {
	if event.Type != "authorize_publish" {
		return Answer{Decision: "pass"}
	}
	text, _ := event.Data["query"].(string)
	query, err := url.ParseQuery(text)
	if err == nil && query.Get("token") == token() {
		return Answer{Decision: "allow"}
	}
	return Answer{Decision: "deny", Reason: &Reason{Code: "bad_token", Public: "Wrong or missing token."}}
}

func token() string {
	if token := os.Getenv("STREAM_TOKEN"); token != "" {
		return token
	}
	return "letmein"
}
