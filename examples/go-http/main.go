// A small shop with net/http. Its events have the person and the address of their request, and
// its errors and panics go to error tracking.
//
//	POSTHOG_API_KEY=phc_… go run .
//	curl -H 'X-PostHog-Distinct-Id: user-1' http://127.0.0.1:8080/buy
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

func main() {
	client, err := posthog.NewWithConfig(os.Getenv("POSTHOG_API_KEY"), posthog.Config{
		Endpoint: os.Getenv("POSTHOG_HOST"), // empty: https://us.i.posthog.com
	})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	run(client, shop(client), listener)
}

// run serves until Ctrl-C or SIGTERM, and closes the client after the last request.
func run(client posthog.Client, handler http.Handler, listener net.Listener) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-stop.Done()
		_ = server.Shutdown(context.Background())
	}()
	log.Print("http://", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Print(err)
	}
	// Serve returns when Shutdown begins, and Shutdown when the last request has ended. A second
	// Ctrl-C ends the program at once.
	cancel()
	<-done
	// What is pending is sent now.
	if err := client.Close(); err != nil {
		log.Print(err)
	}
}

func shop(client posthog.Client) http.Handler {
	// Warnings and errors of this logger go to error tracking too.
	logger := slog.New(posthog.NewSlogCaptureHandler(slog.NewTextHandler(os.Stderr, nil), client))

	routes := http.NewServeMux()
	routes.HandleFunc("/buy", func(w http.ResponseWriter, r *http.Request) {
		err := client.EnqueueWithContext(r.Context(), posthog.Capture{
			Event:      "order placed",
			Properties: posthog.NewProperties().Set("amount", 42),
		})
		if err != nil {
			logger.WarnContext(r.Context(), "the event was not taken", "error", err)
		}
		fmt.Fprintln(w, "thank you")
	})
	routes.HandleFunc("/ship", func(w http.ResponseWriter, r *http.Request) {
		if err := ship(); err != nil {
			_ = client.EnqueueWithContext(r.Context(), posthog.NewErrorException("", err))
			http.Error(w, "later", http.StatusServiceUnavailable)
		}
	})
	routes.HandleFunc("/stock", func(w http.ResponseWriter, r *http.Request) {
		logger.ErrorContext(r.Context(), "cannot count the stock", "error", errNoStock)
		http.Error(w, "unknown", http.StatusInternalServerError)
	})
	routes.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { panic("nothing is prepared for this") })

	// Behind one proxy that sets X-Forwarded-For, add posthog.WithTrustedProxies(1).
	return posthog.NewRequestContextMiddleware(routes, posthog.WithCapturePanics(client))
}

var errNoStock = errors.New("no stock")

func ship() error { return fmt.Errorf("cannot ship: %w", errNoStock) }
