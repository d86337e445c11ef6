package posthog

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"time"
)

// uuidSource makes the uuids that BeforeSend sees; without BeforeSend libphc makes them.
type uuidSource struct {
	// replaced counts the uuids that were not valid.
	replaced atomic.Uint64
}

// valid returns the uuid, or a new one if it is empty or not a uuid.
func (s *uuidSource) valid(uuid string) string {
	trimmed := strings.TrimSpace(uuid)
	if trimmed != "" && isUUID(trimmed) {
		return trimmed
	}
	if uuid != "" {
		s.replaced.Add(1)
	}
	return newUUID(time.Now())
}

// isUUID reports whether a text is a uuid in one of the spellings that libphc reads: with or
// without hyphens, in braces, as a URN.
func isUUID(text string) bool {
	if len(text) == len("urn:uuid:")+36 && text[:9] == "urn:uuid:" {
		text = text[9:]
	} else if len(text) == 38 && text[0] == '{' && text[37] == '}' {
		text = text[1:37]
	}
	if len(text) == 36 {
		if text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
			return false
		}
		text = text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
	}
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == 32
}

// newUUID makes a uuid of version 7 (RFC 9562, section 5.7).
func newUUID(now time.Time) string {
	var bytes [16]byte
	_, _ = rand.Read(bytes[6:]) // never fails
	ms := now.UnixMilli()
	for i := range 6 {
		bytes[i] = byte(ms >> (40 - 8*i))
	}
	bytes[6] = bytes[6]&0x0f | 0x70
	bytes[8] = bytes[8]&0x3f | 0x80
	digits := hex.EncodeToString(bytes[:])
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
