package posthog

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// The headers by which posthog-js passes on who makes a request, for the hosts that its option
// tracing_headers names.
const (
	HeaderPostHogDistinctID = "X-PostHog-Distinct-Id"
	HeaderPostHogSessionID  = "X-PostHog-Session-Id"
)

// RequestContextOptions are those of NewRequestContextMiddleware.
type RequestContextOptions struct {
	// CaptureTracingHeaders makes the ids in the headers be used. It is true by default.
	CaptureTracingHeaders bool
	// CapturePanics makes panics be captured, by PanicCaptureClient.
	CapturePanics      bool
	PanicCaptureClient EnqueueClient
	// TrustedProxies is how many proxies are in front of the program that add an address to
	// X-Forwarded-For. With 0, the default, the header is not read.
	TrustedProxies int
}

// RequestContextOption changes the options of NewRequestContextMiddleware.
type RequestContextOption func(*RequestContextOptions)

// WithCaptureTracingHeaders decides whether the ids in the headers X-PostHog-Distinct-Id and
// X-PostHog-Session-Id are used. Anybody can send any id: it is right for analytics, and never
// for access to anything.
func WithCaptureTracingHeaders(enabled bool) RequestContextOption {
	return func(o *RequestContextOptions) { o.CaptureTracingHeaders = enabled }
}

// WithCapturePanics captures the panics of handlers as exceptions, and panics again with the same
// value.
func WithCapturePanics(client EnqueueClient) RequestContextOption {
	return func(o *RequestContextOptions) { o.CapturePanics, o.PanicCaptureClient = client != nil, client }
}

// WithTrustedProxies says how many proxies are in front of the program that add the address of
// their peer to X-Forwarded-For. $ip is then the address that the outermost of them has added:
// they are counted from the right, and what is further left is written by clients. If the
// header has fewer addresses, $ip is that of the peer.
func WithTrustedProxies(count int) RequestContextOption {
	return func(o *RequestContextOptions) { o.TrustedProxies = count }
}

// NewRequestContextMiddleware returns a handler that calls next with a request whose context
// has a RequestContext of its own: what EnqueueWithContext(r.Context(), …) captures gets the
// ids in the headers, and the properties $current_url (without the query), $request_method,
// $request_path, $user_agent and $ip.
func NewRequestContextMiddleware(next http.Handler, options ...RequestContextOption) http.Handler {
	chosen := RequestContextOptions{CaptureTracingHeaders: true}
	for _, option := range options {
		if option != nil {
			option(&chosen)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if next == nil || r == nil {
			return
		}
		ctx := WithFreshRequestContext(r.Context(), chosen.extract(r))
		r = r.WithContext(ctx)
		if !chosen.CapturePanics {
			next.ServeHTTP(w, r)
			return
		}
		status := &statusWriter{ResponseWriter: w}
		defer func() {
			// nil is not a panic: the handler has returned or called runtime.Goexit.
			if reason := recover(); reason != nil {
				capturePanic(ctx, chosen.PanicCaptureClient, reason, status.code())
				panic(reason)
			}
		}()
		next.ServeHTTP(status.asCapableAs(w), r)
	})
}

// capturePanic captures a panic that is under way, in a deferred function. Whatever fails
// here does not replace it.
func capturePanic(ctx context.Context, client EnqueueClient, reason interface{}, status int) {
	// By this value a handler ends a response on purpose; net/http does not log it either.
	if reason == http.ErrAbortHandler {
		return
	}
	defer func() { _ = recover() }()
	items := []ExceptionItem{{Value: fmt.Sprint(reason)}}
	if err, ok := reason.(error); ok {
		items = exceptionItems(err)
	}
	items[0].Type = "panic"
	items[0].Mechanism = &ExceptionMechanism{Type: "panic", Handled: Ptr(false)}
	items[0].Stacktrace = panicStackTrace()
	_ = EnqueueWithContext(ctx, client, Exception{
		ExceptionList: items,
		Level:         LevelFatal,
		Properties:    Properties{propertyExceptionSource: "panic", propertyResponseStatusCode: status},
	})
}

// ExtractRequestContext returns what NewRequestContextMiddleware makes of a request.
func ExtractRequestContext(r *http.Request, captureTracingHeaders bool) RequestContext {
	return RequestContextOptions{CaptureTracingHeaders: captureTracingHeaders}.extract(r)
}

func (o RequestContextOptions) extract(r *http.Request) RequestContext {
	found := RequestContext{Properties: NewProperties()}
	if r == nil {
		return found
	}
	for key, value := range map[string]string{
		propertyCurrentURL:    currentURL(r),
		propertyRequestMethod: r.Method,
		propertyRequestPath:   requestPath(r),
		propertyUserAgent:     r.UserAgent(),
		propertyIP:            o.clientIP(r),
	} {
		if value = contextText(value); value != "" {
			found.Properties[key] = value
		}
	}
	if o.CaptureTracingHeaders {
		found.DistinctId = firstID(r.Header.Values(HeaderPostHogDistinctID))
		found.SessionId = firstID(r.Header.Values(HeaderPostHogSessionID))
	}
	return found
}

func firstID(values []string) string {
	for _, value := range values {
		if id := contextID(value); id != "" {
			return id
		}
	}
	return ""
}

// currentURL is the address of the request without its query, in which secrets may be.
func currentURL(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if r.URL != nil && r.URL.Scheme != "" {
		scheme = r.URL.Scheme
	}
	if host == "" && r.URL != nil {
		host = r.URL.Host
	}
	if host == "" {
		return ""
	}
	return scheme + "://" + host + requestPath(r)
}

func requestPath(r *http.Request) string {
	if r.URL == nil {
		return ""
	}
	return r.URL.EscapedPath()
}

func (o RequestContextOptions) clientIP(r *http.Request) string {
	peer := address(r.RemoteAddr)
	if o.TrustedProxies <= 0 {
		return peer
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if len(chain) < o.TrustedProxies {
		return peer
	}
	if ip := address(strings.TrimSpace(chain[len(chain)-o.TrustedProxies])); ip != "" {
		return ip
	}
	return peer
}

// address returns the IP address in a text with or without a port; nothing if there is none,
// as for the peer of a Unix socket.
func address(text string) string {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return ""
	}
	return ip.Unmap().WithZone("").String()
}
