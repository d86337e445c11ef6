// A small shop with Gin. Its events have the person and the address of their request, and its
// panics go to error tracking.
//
//	POSTHOG_API_KEY=phc_… go run .
//	curl -H 'X-PostHog-Distinct-Id: user-1' http://127.0.0.1:8080/buy
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
	"github.com/gin-gonic/gin"
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

// requestContext makes the middleware of net/http one of Gin.
func requestContext(options ...posthog.RequestContextOption) gin.HandlerFunc {
	return func(c *gin.Context) {
		next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request = r
			c.Next()
		})
		posthog.NewRequestContextMiddleware(next, options...).ServeHTTP(c.Writer, c.Request)
	}
}

func shop(client posthog.Client) *gin.Engine {
	router := gin.New()
	// After gin.Recovery, which ends a panic: what is further in sees it first.
	router.Use(gin.Recovery(), requestContext(posthog.WithCapturePanics(client)))
	router.GET("/buy", func(c *gin.Context) {
		err := client.EnqueueWithContext(c.Request.Context(), posthog.Capture{
			Event:      "order placed",
			Properties: posthog.NewProperties().Set("amount", 42),
		})
		if err != nil {
			log.Print(err)
		}
		c.String(http.StatusOK, "thank you")
	})
	router.GET("/crash", func(c *gin.Context) {
		c.Status(http.StatusBadGateway)
		panic("nothing is prepared for this")
	})
	return router
}
