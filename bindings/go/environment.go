package posthog

import (
	"net/http"
	"net/url"
	"os"
	"strings"
)

// environment returns the settings that Go programs expect to be taken from the
// environment, which libphc itself never reads.
func (c *Config) environment() []setting {
	var found []setting
	if _, given := c.Settings["proxy"]; c.Proxy == "" && !given {
		if proxy := c.environmentProxy(); proxy != "" {
			found = append(found, setting{key: "proxy", value: proxy, field: "Proxy", given: proxy})
		}
	}
	if _, given := c.Settings["ca_file"]; c.CAFile == "" && !given {
		// Like crypto/x509, which ignores a file that does not exist.
		file := os.Getenv("SSL_CERT_FILE")
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			found = append(found, setting{key: "ca_file", value: file, field: "CAFile", given: file})
		}
	}
	return found
}

func (c *Config) environmentProxy() string {
	host := c.Endpoint
	if set, ok := c.Settings["host"]; ok {
		host = set
	}
	host = strings.TrimSpace(host)
	if host == "" {
		host = DefaultEndpoint
	} else if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	address, err := url.Parse(host)
	if err != nil {
		return "" // libphc will say what is wrong with it
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: address})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.String()
}
