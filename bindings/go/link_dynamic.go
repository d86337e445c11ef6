//go:build cgo && phc_dynamic

package posthog

// #cgo pkg-config: phc
import "C"
