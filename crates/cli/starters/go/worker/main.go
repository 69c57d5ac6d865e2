// A worker for Jackfield that decides who may publish: one line of JSON in, one line out.
//
// Standard output belongs to the protocol; what goes to standard error is in the server's log. decide.go is the part to
// change.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// frame is a line of the server: an event with a delivery's id, or a bare one that was sent before the server had read
// the hello.
type frame struct {
	Event
	Kind     string `json:"t"`
	Delivery string `json:"d"`
	Framed   Event  `json:"event"`
}

// answer to a line, or nil if it wants none.
func answer(line []byte) *Answer {
	var frame frame
	if json.Unmarshal(line, &frame) != nil {
		return nil
	}
	switch {
	case frame.Kind == "event":
		said := Decide(frame.Framed)
		said.Delivery = frame.Delivery
		return &said
	case frame.Kind == "" && frame.Type != "":
		said := Decide(frame.Event)
		return &said
	}
	return nil // cancel, drain, and whatever later versions say
}

func talk(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	// With the hello the server sends up to 16 events at once; they may be answered in any order.
	fmt.Fprintln(out, `{"t":"hello","proto":[1],"concurrency":16}`)
	for {
		line, err := lines.ReadBytes('\n')
		if said := answer(line); said != nil {
			text, _ := json.Marshal(said)
			if _, err := fmt.Fprintln(out, string(text)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	if err := talk(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
