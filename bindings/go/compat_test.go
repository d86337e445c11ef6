//go:build cgo

package posthog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What posthog-go does in the cases of caseFiles, and this package where it
// differs. To record it anew, with a checkout of posthog-go:
//
//	POSTHOG_GO=/path/to/posthog-go go test -run TestCompat .
//
// That runs the cases with posthog-go in a module of its own and writes compatFile, where a
// difference without a reason (why) then makes the test fail, and compatPage.
const (
	compatFile = "testdata/compat.json"
	compatPage = "../../docs/compatibility-go.md"
)

// caseFiles have the cases.
var caseFiles = []string{
	"compat_cases_test.go", "compat_errors_test.go", "compat_flags_probe_test.go", "compat_flags_server_test.go",
	"compat_flags_local_test.go", "compat_flags_reads_test.go", "compat_probe_test.go",
}

// recorded is the file.
type recorded struct {
	Version string                `json:"posthog-go"`
	Commit  string                `json:"commit"`
	Cases   map[string]*recording `json:"cases"`
}

type recording struct {
	Official json.RawMessage `json:"official"`
	// Ours is there if it differs, and Why says why it does.
	Ours json.RawMessage `json:"ours,omitempty"`
	Why  string          `json:"why,omitempty"`
}

// TestCompatObserve writes what the cases see with the package that they are built with. It
// is what a recording runs with posthog-go.
func TestCompatObserve(t *testing.T) {
	if file := os.Getenv("COMPAT_OBSERVE"); file != "" {
		text, err := json.Marshal(observations(t))
		if err == nil {
			err = os.WriteFile(file, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompat(t *testing.T) {
	if os.Getenv("COMPAT_OBSERVE") != "" {
		return
	}
	file := readRecorded(t)
	ours := observations(t)
	if checkout := os.Getenv("POSTHOG_GO"); checkout != "" {
		file = record(t, checkout, file, ours)
	}
	for _, name := range sortedNames(ours) {
		known, ok := file.Cases[name]
		switch {
		case !ok:
			t.Errorf("%s: not recorded yet; run this with POSTHOG_GO", name)
		case known.Ours == nil && !same(ours[name], known.Official):
			t.Errorf("%s:\n%s\nis not what posthog-go has:\n%s", name, ours[name], known.Official)
		case known.Ours != nil && !same(ours[name], known.Ours):
			t.Errorf("%s:\n%s\nis not\n%s", name, ours[name], known.Ours)
		case known.Ours != nil && (same(known.Ours, known.Official) || known.Why == ""):
			t.Errorf("%s: the difference is not there any more, or has no reason", name)
		}
	}
	for name := range file.Cases {
		if _, there := ours[name]; !there {
			t.Errorf("%s: recorded, and there is no such case", name)
		}
	}
	checkPage(t, file, os.Getenv("POSTHOG_GO") != "")
}

func sortedNames[V any](cases map[string]V) []string { return slices.Sorted(maps.Keys(cases)) }

func readRecorded(t *testing.T) recorded {
	t.Helper()
	var file recorded
	text, err := os.ReadFile(compatFile)
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// same compares two texts of JSON but for white space and the order of members.
func same(a, b json.RawMessage) bool { return canonical(a) == canonical(b) }

func canonical(text json.RawMessage) string {
	var value interface{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return err.Error()
	}
	again, _ := json.Marshal(value)
	return string(again)
}

// record runs the cases with posthog-go and writes the file.
func record(t *testing.T, checkout string, old recorded, ours map[string]json.RawMessage) recorded {
	t.Helper()
	checkout, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	observe := `//go:build cgo

package posthog_test

import (
	"encoding/json"
	"os"
	"testing"
)

func TestCompatObserve(t *testing.T) {
	text, _ := json.Marshal(observations(t))
	_ = os.WriteFile(os.Getenv("COMPAT_OBSERVE"), text, 0o644)
}
`
	module := "module compat\n\ngo 1.24\n\nrequire github.com/posthog/posthog-go v1.0.0\n\n" +
		"replace github.com/posthog/posthog-go => " + checkout + "\n"
	seen := filepath.Join(work, "seen.json")
	files := map[string]string{"observe_test.go": observe, "go.mod": module}
	for _, name := range caseFiles {
		cases, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = strings.Replace(string(cases), "github.com/PostHog/libphc/bindings/go", "github.com/posthog/posthog-go", 1)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(folder string, arguments ...string) string {
		command := exec.Command(arguments[0], arguments[1:]...)
		command.Dir, command.Env = folder, append(os.Environ(), "COMPAT_OBSERVE="+seen, "GOFLAGS=-mod=mod")
		text, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", arguments, err, text)
		}
		return strings.TrimSpace(string(text))
	}
	run(work, "go", "mod", "tidy")
	run(work, "go", "test", "-count=1", "-run", "TestCompatObserve", ".")
	official := map[string]json.RawMessage{}
	text, err := os.ReadFile(seen)
	if err == nil {
		err = json.Unmarshal(text, &official)
	}
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(checkout, "version.go"))
	version := regexp.MustCompile(`const Version = "(.*)"`).FindSubmatch(source)
	if err != nil || version == nil {
		t.Fatalf("version.go of posthog-go: %v", err)
	}
	file := recorded{Version: string(version[1]), Commit: run(checkout, "git", "rev-parse", "--short", "HEAD"), Cases: map[string]*recording{}}
	for name, value := range official {
		file.Cases[name] = &recording{Official: value}
		if !same(ours[name], value) {
			file.Cases[name].Ours = ours[name]
			if before, there := old.Cases[name]; there {
				file.Cases[name].Why = before.Why
			}
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(compatFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// checkPage compares the page with the cases, or writes it.
func checkPage(t *testing.T, file recorded, write bool) {
	t.Helper()
	if _, err := os.Stat(filepath.Dir(compatPage)); err != nil {
		return // a released module has no docs folder beside it
	}
	page := pageOf(file)
	if write {
		if err := os.WriteFile(compatPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(compatPage); err != nil || string(text) != page {
		t.Errorf("%s is not what the cases say (%v); run this with POSTHOG_GO", compatPage, err)
	}
}

func pageOf(file recorded) string {
	type count struct{ same, different int }
	groups, total := map[string]*count{}, count{}
	var rows strings.Builder
	for _, name := range sortedNames(file.Cases) {
		group, what, _ := strings.Cut(name, ": ")
		if groups[group] == nil {
			groups[group] = &count{}
		}
		if file.Cases[name].Ours == nil {
			groups[group].same++
			total.same++
			continue
		}
		groups[group].different++
		total.different++
		fmt.Fprintf(&rows, "| %s | %s | %s |\n", group, what, file.Cases[name].Why)
	}
	var page strings.Builder
	fmt.Fprintf(&page, `# posthog-go and libphc for Go, case by case

<!-- Written from bindings/go/testdata/compat.json by the tests of the Go package; edit the cases. -->

%d cases describe what posthog-go does. What is expected was recorded from posthog-go %s
(commit %s), with Capture v1. Each case runs with the Go package in `+"`make test-go`"+`: %d see exactly the same,
%d see a difference that has a reason. [Moving over](moving-over.md#go) says what to change.

| group | cases | the same | different |
|---|---|---|---|
`, total.same+total.different, file.Version, file.Commit, total.same, total.different)
	for _, group := range sortedNames(groups) {
		c := groups[group]
		fmt.Fprintf(&page, "| %s | %d | %d | %d |\n", group, c.same+c.different, c.same, c.different)
	}
	fmt.Fprintf(&page, `
## The differences

| group | case | what differs, and why |
|---|---|---|
%s
To record the expected values anew, in bindings/go:

    POSTHOG_GO=/path/to/posthog-go go test -run TestCompat .

The cases are in `+"`bindings/go/compat_*_test.go`"+`, which compile with either package.
`, rows.String())
	return page.String()
}
