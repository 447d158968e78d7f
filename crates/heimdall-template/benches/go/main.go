// Renders a template many times with Go's own engine and prints nanoseconds a render, one figure a round.
// Usage: bench TEMPLATE DATA.json ROUNDS
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"text/template"
	"time"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	check(err)
	raw, err := os.ReadFile(os.Args[2])
	check(err)
	rounds, err := strconv.Atoi(os.Args[3])
	check(err)
	var data map[string]any
	check(json.Unmarshal(raw, &data))
	parsed, err := template.New("claims").Parse(string(text))
	check(err)
	const renders = 20000
	var out bytes.Buffer
	for round := 0; round < rounds; round++ {
		start := time.Now()
		for i := 0; i < renders; i++ {
			out.Reset()
			check(parsed.Execute(&out, data))
		}
		fmt.Println(time.Since(start).Nanoseconds() / renders)
	}
	fmt.Fprint(os.Stderr, out.String())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
