//go:build cgo

package posthog

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"
)

// docs/privacy.md lists what is added to an event that has no properties of its own.
func TestNothingIsAddedThatThePrivacyPageDoesNotList(t *testing.T) {
	page, err := os.ReadFile("../../docs/privacy.md")
	must(t, err)
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| Go \\| `([^`]+)` ").FindAllSubmatch(page, -1) {
		listed = append(listed, string(row[1]))
	}
	slices.Sort(listed)
	client, err := NewWithConfig("k", Config{TestMode: true})
	must(t, err)
	defer client.Close()
	for _, message := range []Message{
		Capture{DistinctId: "u", Event: "e"},
		Alias{DistinctId: "u", Alias: "a"},
	} {
		must(t, client.Enqueue(message))
		var sent struct {
			Properties map[string]json.RawMessage
			Options    map[string]json.RawMessage
		}
		must(t, json.Unmarshal(client.NextTestEvent(), &sent))
		delete(sent.Properties, "alias")
		var added []string
		for key := range sent.Properties {
			added = append(added, key)
		}
		for key := range sent.Options {
			added = append(added, key)
		}
		slices.Sort(added)
		if !slices.Equal(added, listed) || len(added) == 0 {
			t.Errorf("%T: %q is added, %q is listed", message, added, listed)
		}
	}
}
