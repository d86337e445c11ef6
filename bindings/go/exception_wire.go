package posthog

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// The event $exception as the server reads it, with the bounds of phc_exception in phc.h.

const (
	propertyExceptionList        = "$exception_list"
	propertyExceptionLevel       = "$exception_level"
	propertyExceptionFingerprint = "$exception_fingerprint"
	propertyExceptionSource      = "$exception_source"
	propertyResponseStatusCode   = "$response_status_code"
)

const (
	maxExceptionItems = 50
	// maxFrames is the number of frames of one item. Those further out are left out.
	maxFrames = 64
	// maxExceptionText is the number of bytes of one text. It is cut there, at a character.
	maxExceptionText = 16 << 10
	// maxExceptionBytes is that of all texts and frames.
	maxExceptionBytes = 512 << 10
	// frameRest is what a frame counts beside its own text.
	frameRest = 128
)

// madeByTheServer are properties that are not sent.
var madeByTheServer = []string{
	"$exception_types", "$exception_values", "$exception_sources", "$exception_functions", "$exception_issue_id",
	"$exception_fingerprint_record", "$exception_release", "$exception_handled", "$cymbal_errors",
}

// wireItem and its parts are what is written of an ExceptionItem.
type wireItem struct {
	Type       string             `json:"type"`
	Value      string             `json:"value"`
	Mechanism  ExceptionMechanism `json:"mechanism"`
	Stacktrace *wireStack         `json:"stacktrace,omitempty"`
}

type wireStack struct {
	Type   string            `json:"type"`
	Frames []json.RawMessage `json:"frames"`
}

func (m Exception) wireProperties() Properties {
	properties := with(m.Properties, Properties{})
	for _, name := range madeByTheServer {
		delete(properties, name)
	}
	left := exceptionBudget(maxExceptionBytes)
	properties[propertyExceptionList] = left.items(m.ExceptionList)
	if m.ExceptionFingerprint != nil {
		properties[propertyExceptionFingerprint] = left.text(*m.ExceptionFingerprint)
	}
	if level, set := properties[propertyExceptionLevel]; m.Level != "" || !set || level == nil {
		properties[propertyExceptionLevel] = cmp.Or(m.Level, LevelError)
	}
	return properties
}

// exceptionBudget is how many bytes an exception may still have.
type exceptionBudget int

func (left *exceptionBudget) items(items []ExceptionItem) []wireItem {
	items = items[:min(len(items), maxExceptionItems)]
	written := make([]wireItem, 0, len(items))
	handled := true
	for i, item := range items {
		given := ExceptionMechanism{}
		if item.Mechanism != nil {
			given = *item.Mechanism
		}
		if i == 0 && given.Handled != nil {
			handled = *given.Handled
		}
		before := *left
		next := wireItem{Type: left.text(item.Type)}
		if next.Type == "" && item.Type != "" {
			// The server takes no item without a type, and those further away go with it.
			*left = before
			break
		}
		given.Source = left.text(given.Source)
		next.Value = left.text(item.Value)
		next.Mechanism = left.mechanism(given, i, len(items), handled)
		if item.Stacktrace != nil {
			next.Stacktrace = left.stack(*item.Stacktrace)
		}
		written = append(written, next)
	}
	return written
}

// mechanism completes the mechanism of an item, whose source fits. handled is whether the exception was.
func (left *exceptionBudget) mechanism(m ExceptionMechanism, id, count int, handled bool) ExceptionMechanism {
	if m.Handled == nil {
		m.Handled = &handled
	}
	if m.ExceptionID == nil && count > 1 {
		m.ExceptionID = &id
	}
	m.Type = left.text(m.Type)
	if id == 0 {
		m.Type = cmp.Or(m.Type, "generic")
		return m
	}
	m.Type, m.Source = cmp.Or(m.Type, "chained"), cmp.Or(m.Source, "cause")
	if m.ParentID == nil {
		m.ParentID = Ptr(id - 1)
	}
	return m
}

// stack returns the frames that fit, of which the innermost are the most important. It returns
// nil if there are none.
func (left *exceptionBudget) stack(stack ExceptionStacktrace) *wireStack {
	written := &wireStack{Type: cmp.Or(stack.Type, "raw")}
	for _, frame := range slices.Backward(stack.Frames) {
		text, err := json.Marshal(frame)
		size := exceptionBudget(len(text) + frameRest)
		if err != nil {
			continue
		}
		if len(written.Frames) == maxFrames || size > *left {
			break
		}
		*left -= size
		written.Frames = append(written.Frames, text)
	}
	if len(written.Frames) == 0 {
		return nil
	}
	slices.Reverse(written.Frames)
	return written
}

// text returns as much of a text as still fits, and counts it as it is written.
func (left *exceptionBudget) text(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxExceptionText+utf8.UTFMax)], "\uFFFD")
	size := exceptionBudget(0)
	for at, character := range text {
		next := size + writtenSize(character)
		if at+utf8.RuneLen(character) > maxExceptionText || next > *left {
			text = text[:at]
			break
		}
		size = next
	}
	*left -= size
	return text
}

// writtenSize is how many bytes a character has in JSON.
func writtenSize(character rune) exceptionBudget {
	switch {
	case character == '"', character == '\\':
		return 2
	case character < ' ', character == '\u2028', character == '\u2029':
		return exceptionBudget(len(`\u0000`))
	}
	return exceptionBudget(utf8.RuneLen(character))
}
