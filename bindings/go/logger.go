package posthog

import (
	"log"
	"os"
)

// Logger takes the log lines of a client. A Logger that also has
// Warnf(string, ...interface{}) or Debugf(string, ...interface{}) gets warnings
// and debug lines there; otherwise they go to Logf.
type Logger interface {
	Logf(format string, args ...interface{})
	Errorf(format string, args ...interface{})
}

// StdLogger makes a Logger of a log.Logger. Debug lines are written only if
// verbose is true.
func StdLogger(logger *log.Logger, verbose ...bool) Logger {
	return stdLogger{logger: logger, verbose: len(verbose) > 0 && verbose[0]}
}

type stdLogger struct {
	logger  *log.Logger
	verbose bool
}

func (l stdLogger) Debugf(format string, args ...interface{}) {
	if l.verbose {
		l.logger.Printf("DEBUG: "+format, args...)
	}
}

func (l stdLogger) Logf(format string, args ...interface{}) {
	l.logger.Printf("INFO: "+format, args...)
}

func (l stdLogger) Warnf(format string, args ...interface{}) {
	l.logger.Printf("WARN: "+format, args...)
}

func (l stdLogger) Errorf(format string, args ...interface{}) {
	l.logger.Printf("ERROR: "+format, args...)
}

// logger returns the Logger of the client. The default one writes every line that
// it gets: the setting log_level decides which those are.
func (c *Config) logger() Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return StdLogger(log.New(os.Stderr, "posthog ", log.LstdFlags), true)
}

// Levels of log lines, by libphc's numbers.
const (
	logError   = 1
	logWarning = 2
	logInfo    = 3
	logDebug   = 4
)

func logLine(logger Logger, level int, line string) {
	write := logger.Logf
	switch level {
	case logError:
		write = logger.Errorf
	case logWarning:
		if logger, ok := logger.(interface {
			Warnf(string, ...interface{})
		}); ok {
			write = logger.Warnf
		}
	case logDebug:
		if logger, ok := logger.(interface {
			Debugf(string, ...interface{})
		}); ok {
			write = logger.Debugf
		}
	}
	write("%s", line)
}
