package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"time"
)

// store is the database: users with a password and an end.
type store struct {
	mutex sync.Mutex
	file  string
	made  int
	lines map[string]string
}

// open takes a configuration. What its "do" says happens instead.
func (s *store) open(config map[string]interface{}) (map[string]interface{}, error) {
	file, _ := config["file"].(string)
	if file != "" && config["do"] == "hang" {
		// So that a test knows when it does.
		_ = os.WriteFile(file, []byte("hangs\n"), 0o600)
	}
	if err := misbehave(config["do"]); err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.file = file
	s.lines = map[string]string{}
	kept := map[string]interface{}{"seen_port": fmt.Sprintf("%T %v", config["port"], config["port"])}
	for key, value := range config {
		kept[key] = value
	}
	if config["do"] == "nonsense" {
		kept["number"] = math.NaN()
	}
	return kept, nil
}

// misbehave does what a text says.
func misbehave(do interface{}) error {
	switch do {
	case "fail":
		return errors.New("the mock was told to fail")
	case "secret":
		return errors.New("cannot log in with hunter2")
	case "hang":
		time.Sleep(time.Hour)
	case "die":
		os.Exit(9)
	case "panic":
		panic("the mock was told to panic")
	}
	return nil
}

// make makes a user, after doing what the role's name says.
func (s *store) make(display, role, credential string, end time.Time, statements []string) (string, error) {
	switch role {
	case "nameless":
		return "", nil
	case "huge":
		return strings.Repeat("x", 64<<20), nil
	}
	if err := misbehave(role); err != nil {
		return "", err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.made++
	name := fmt.Sprintf("mock-%s-%s-%d", display, role, s.made)
	return name, s.write(name, fmt.Sprintf("%s %s %s", credential, shown(end), strings.Join(statements, ";")))
}

func shown(end time.Time) string {
	if end.IsZero() {
		return "never"
	}
	return end.UTC().Format(time.RFC3339)
}

// change replaces what a user has.
func (s *store) change(name, line string) error {
	if err := misbehave(name); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.write(name, line)
}

// remove removes a user. One that is not there is no error.
func (s *store) remove(name string) error {
	if err := misbehave(name); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.write(name, "")
}

// write sets a user's line, or removes it if it is empty, here and in the file.
func (s *store) write(name, line string) error {
	if s.lines == nil {
		return errors.New("the mock was not initialized")
	}
	if line == "" {
		delete(s.lines, name)
	} else {
		s.lines[name] = line
	}
	if s.file == "" {
		return nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var kept strings.Builder
	for _, old := range strings.SplitAfter(string(text), "\n") {
		if !strings.HasPrefix(old, name+" ") {
			kept.WriteString(old)
		}
	}
	if line != "" {
		kept.WriteString(name + " " + line + "\n")
	}
	return os.WriteFile(s.file, []byte(kept.String()), 0o600)
}
