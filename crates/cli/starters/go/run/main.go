// A program for Jackfield that decides who may publish: an event on standard input, an answer on standard output.
//
// What goes to standard error is in the server's log. decide.go is the part to change.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	var event Event
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text, _ := json.Marshal(Decide(event))
	fmt.Println(string(text))
}
