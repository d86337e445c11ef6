package posthog

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
)

func TestTheSystemIsNamedAsByPosthogGo(t *testing.T) {
	files := map[string]string{
		"/etc/os-release": "PRETTY_NAME=\"x\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n# comment\n\n",
		"/System/Library/CoreServices/SystemVersion.plist": "<dict>\n<key>ProductVersion</key>\n\t<string>14.5</string>\n</dict>",
	}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("no such file")
	}
	none := func(string) ([]byte, error) { return nil, errors.New("no such file") }
	for _, c := range []struct {
		goos string
		read func(string) ([]byte, error)
		want string
	}{
		{"linux", read, "map[$os:Linux $os_distro:Debian GNU/Linux $os_version:12]"},
		{"linux", none, "map[$os:Linux]"},
		{"darwin", read, "map[$os:Mac OS X $os_version:14.5]"},
		{"darwin", none, "map[$os:Mac OS X]"},
		{"windows", read, "map[$os:Windows]"},
		{"freebsd", read, "map[$os:FreeBSD]"},
		{"android", read, "map[$os:Android]"},
		{"ios", read, "map[$os:iOS]"},
		{"plan9", read, "map[$os:plan9]"},
	} {
		if got := fmt.Sprint(map[string]interface{}(operatingSystem(c.goos, c.read))); got != c.want {
			t.Errorf("%s: %s, not %s", c.goos, got, c.want)
		}
	}
	// A distribution without numbers of versions.
	files["/etc/os-release"] = "NAME='Debian GNU/Linux'\n"
	if got := fmt.Sprint(map[string]interface{}(operatingSystem("linux", read))); got != "map[$os:Linux $os_distro:Debian GNU/Linux]" {
		t.Error(got)
	}
	if got := systemProperties()["$go_version"]; got != runtime.Version() {
		t.Error(got)
	}
}
