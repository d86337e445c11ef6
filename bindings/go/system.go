package posthog

import (
	"bufio"
	"bytes"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync"
)

// systemProperties returns those of this machine that posthog-go adds to every event. They
// are super properties: a property of the event has precedence, and Unregister removes one.
var systemProperties = sync.OnceValue(func() Properties {
	properties := Properties{"$go_version": runtime.Version()}
	maps.Copy(properties, operatingSystem(runtime.GOOS, os.ReadFile))
	return properties
})

// operatingSystem returns $os and, where a file has them, $os_version and $os_distro.
func operatingSystem(goos string, readFile func(string) ([]byte, error)) Properties {
	found := Properties{}
	set := func(name, value string) {
		if value != "" {
			found[name] = value
		}
	}
	switch goos {
	case "linux":
		set("$os", "Linux")
		if text, err := readFile("/etc/os-release"); err == nil {
			fields := osRelease(text)
			set("$os_version", fields["VERSION_ID"])
			set("$os_distro", fields["NAME"])
		}
	case "darwin":
		set("$os", "Mac OS X")
		// What sw_vers prints, without running a program.
		if text, err := readFile("/System/Library/CoreServices/SystemVersion.plist"); err == nil {
			set("$os_version", productVersion(string(text)))
		}
	case "windows":
		set("$os", "Windows")
	case "freebsd":
		set("$os", "FreeBSD")
	case "android":
		set("$os", "Android")
	case "ios":
		set("$os", "iOS")
	default:
		set("$os", goos)
	}
	return found
}

// osRelease reads the lines NAME="value" of os-release(5).
func osRelease(text []byte) map[string]string {
	fields := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			fields[name] = strings.Trim(value, `"'`)
		}
	}
	return fields
}

// productVersion returns the text after this key of a property list.
func productVersion(plist string) string {
	_, rest, _ := strings.Cut(plist, "<key>ProductVersion</key>")
	_, rest, _ = strings.Cut(rest, "<string>")
	version, _, found := strings.Cut(rest, "</string>")
	if !found {
		return ""
	}
	return strings.TrimSpace(version)
}
