package posthog

import (
	"log"
	"os"
)

// Logger takes what a client has to say. A Logger that has a Warnf, too, gets
// warnings by it.
type Logger interface {
	Logf(format string, args ...interface{})
	Errorf(format string, args ...interface{})
}

// StdLogger makes a Logger of one of the standard library. Told false, it leaves
// out what is only worth knowing.
func StdLogger(logger *log.Logger, verbose ...bool) Logger {
	return stdLogger{logger: logger, quiet: len(verbose) > 0 && !verbose[0]}
}

type stdLogger struct {
	logger *log.Logger
	quiet  bool
}

func (l stdLogger) Logf(format string, args ...interface{}) {
	if !l.quiet {
		l.logger.Printf("INFO: "+format, args...)
	}
}

func (l stdLogger) Warnf(format string, args ...interface{}) {
	l.logger.Printf("WARN: "+format, args...)
}

func (l stdLogger) Errorf(format string, args ...interface{}) {
	l.logger.Printf("ERROR: "+format, args...)
}

func (c *Config) logger() Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return StdLogger(log.New(os.Stderr, "posthog ", log.LstdFlags), c.Verbose)
}

// How much a line matters, in libphc's numbers.
const (
	logError   = 1
	logWarning = 2
)

func logLine(logger Logger, level int, line string) {
	warner, warns := logger.(interface {
		Warnf(format string, args ...interface{})
	})
	switch {
	case level == logError:
		logger.Errorf("%s", line)
	case level == logWarning && warns:
		warner.Warnf("%s", line)
	default:
		logger.Logf("%s", line)
	}
}
