package posthog

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// statusWriter passes a response on and keeps its status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// code is the status of the response of a handler that panicked.
func (w *statusWriter) code() int {
	status := w.status
	// The writers of Gin and other routers know it before it is written.
	if planned, ok := w.ResponseWriter.(interface{ Status() int }); ok && status == 0 {
		status = planned.Status()
	}
	if status < http.StatusBadRequest {
		return http.StatusInternalServerError
	}
	return status
}

// begin keeps the status that the response begins with. Informational ones come before.
func (w *statusWriter) begin(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if w.status == 0 && !informational {
		w.status = status
	}
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(data []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(data)
}

// Handlers ask what else a writer can do: with each of these types it can do one thing more.
type (
	flushes   struct{ w *statusWriter }
	hijacks   struct{ w *statusWriter }
	pushes    struct{ w *statusWriter }
	readsFrom struct{ w *statusWriter }
)

func (f flushes) Flush() {
	f.w.begin(http.StatusOK)
	f.w.ResponseWriter.(http.Flusher).Flush()
}

func (h hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.w.ResponseWriter.(http.Hijacker).Hijack()
}

func (p pushes) Push(target string, options *http.PushOptions) error {
	return p.w.ResponseWriter.(http.Pusher).Push(target, options)
}

func (r readsFrom) ReadFrom(source io.Reader) (int64, error) {
	r.w.begin(http.StatusOK)
	return r.w.ResponseWriter.(io.ReaderFrom).ReadFrom(source)
}

// asCapableAs returns a writer that can do what the other can, and nothing more.
func (w *statusWriter) asCapableAs(other http.ResponseWriter) http.ResponseWriter {
	f, h, p, r := flushes{w}, hijacks{w}, pushes{w}, readsFrom{w}
	_, flusher := other.(http.Flusher)
	_, hijacker := other.(http.Hijacker)
	_, pusher := other.(http.Pusher)
	_, reader := other.(io.ReaderFrom)
	switch [4]bool{flusher, hijacker, pusher, reader} {
	case [4]bool{true, true, true, true}:
		return struct {
			*statusWriter
			flushes
			hijacks
			pushes
			readsFrom
		}{w, f, h, p, r}
	case [4]bool{true, true, true, false}:
		return struct {
			*statusWriter
			flushes
			hijacks
			pushes
		}{w, f, h, p}
	case [4]bool{true, true, false, true}:
		return struct {
			*statusWriter
			flushes
			hijacks
			readsFrom
		}{w, f, h, r}
	case [4]bool{true, true, false, false}:
		return struct {
			*statusWriter
			flushes
			hijacks
		}{w, f, h}
	case [4]bool{true, false, true, true}:
		return struct {
			*statusWriter
			flushes
			pushes
			readsFrom
		}{w, f, p, r}
	case [4]bool{true, false, true, false}:
		return struct {
			*statusWriter
			flushes
			pushes
		}{w, f, p}
	case [4]bool{true, false, false, true}:
		return struct {
			*statusWriter
			flushes
			readsFrom
		}{w, f, r}
	case [4]bool{true, false, false, false}:
		return struct {
			*statusWriter
			flushes
		}{w, f}
	case [4]bool{false, true, true, true}:
		return struct {
			*statusWriter
			hijacks
			pushes
			readsFrom
		}{w, h, p, r}
	case [4]bool{false, true, true, false}:
		return struct {
			*statusWriter
			hijacks
			pushes
		}{w, h, p}
	case [4]bool{false, true, false, true}:
		return struct {
			*statusWriter
			hijacks
			readsFrom
		}{w, h, r}
	case [4]bool{false, true, false, false}:
		return struct {
			*statusWriter
			hijacks
		}{w, h}
	case [4]bool{false, false, true, true}:
		return struct {
			*statusWriter
			pushes
			readsFrom
		}{w, p, r}
	case [4]bool{false, false, true, false}:
		return struct {
			*statusWriter
			pushes
		}{w, p}
	case [4]bool{false, false, false, true}:
		return struct {
			*statusWriter
			readsFrom
		}{w, r}
	}
	return w
}
