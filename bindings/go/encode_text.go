package posthog

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// text writes a JSON string. Bytes that are not UTF-8 are left to libphc, which replaces
// and counts them.
func (e *encoder) text(text string) {
	start, n := len(e.json), len(text)
	// Eight bytes are checked and written at a time, of a short text more than it has.
	json := slices.Grow(e.json, n+10)[:start+n+10]
	out := json[start:]
	special := uint64(0)
	if n < 8 {
		w := fewer(text)
		special = specials(w)
		binary.LittleEndian.PutUint64(out[1:], w)
	} else {
		for i := 0; i+8 < n; i += 8 {
			w := eight(text, i)
			special |= specials(w)
			binary.LittleEndian.PutUint64(out[1+i:], w)
		}
		w := eight(text, n-8)
		special |= specials(w)
		binary.LittleEndian.PutUint64(out[1+n-8:], w)
	}
	if special != 0 {
		e.escaped(text)
		return
	}
	out[0], out[1+n] = '"', '"'
	e.json = json[:start+n+2]
}

// eight returns eight bytes of a text, the first one as the lowest. The compiler makes one
// load of it.
func eight(text string, i int) uint64 {
	t := text[i : i+8]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

const spaces uint64 = 0x2020202020202020

// fewer returns the same of a text that has fewer; those that it does not have are spaces.
func fewer(text string) uint64 {
	n := len(text)
	w := spaces << (8 * n)
	switch {
	case n >= 4:
		first := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24
		t := text[n-4:]
		last := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24
		w |= first | last<<(8*(n-4))
	case n > 0:
		w |= uint64(text[0]) | uint64(text[n/2])<<(8*(n/2)) | uint64(text[n-1])<<(8*(n-1))
	}
	return w
}

// specials is not 0 if one of eight bytes has to be escaped: if it is below a space, a quotation
// mark or a backslash.
func specials(w uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^ones*'"', w^ones*'\\'
	return ((w-ones*' ')&^w | (quote-ones)&^quote | (backslash-ones)&^backslash) & high
}

func (e *encoder) escaped(text string) {
	const hex = "0123456789abcdef"
	e.json = append(e.json, '"')
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		e.json = append(e.json, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			e.json = append(e.json, '\\', c)
		case '\n':
			e.json = append(e.json, '\\', 'n')
		case '\r':
			e.json = append(e.json, '\\', 'r')
		case '\t':
			e.json = append(e.json, '\\', 't')
		default:
			e.json = append(e.json, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	e.json = append(e.json, text[start:]...)
	e.json = append(e.json, '"')
}

// prefix returns the first eight bytes of a key as a number, in the order of texts.
func prefix(key string) uint64 {
	if n := len(key); n < 8 {
		return bits.ReverseBytes64(fewer(key) &^ (spaces << (8 * n)))
	}
	return bits.ReverseBytes64(eight(key, 0))
}
