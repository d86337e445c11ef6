package posthog

import (
	"errors"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// InAppDecider says whether a frame is code of the application itself, and not of a library.
type InAppDecider func(frame runtime.Frame) bool

// SimpleInAppDecider says so of code that is neither Go's standard library, nor in a module that
// was downloaded or vendored, nor in this package.
func SimpleInAppDecider(frame runtime.Frame) bool {
	file := strings.ReplaceAll(frame.File, `\`, "/")
	place := places()
	switch {
	case strings.HasPrefix(frame.Function, place.own), strings.HasPrefix(frame.Function, "runtime."):
		return false
	case strings.Contains(file, "/vendor/"), strings.Contains(file, "/pkg/mod/"):
		return false
	case place.standard != "":
		return !strings.HasPrefix(file, place.standard)
	}
	return inAppWithoutPaths(file, place.main)
}

// inAppWithoutPaths decides for a program that was built with -trimpath, where files begin with
// the path of their module: gin@v1.10.1 is a version, and net/http has no domain.
func inAppWithoutPaths(file, main string) bool {
	first, _, _ := strings.Cut(file, "/")
	switch {
	case strings.Contains(file, "@v"):
		return false
	case main != "" && strings.HasPrefix(file, main+"/"):
		return true
	}
	return strings.Contains(first, ".")
}

// codePlaces says where code is.
type codePlaces struct {
	// own begins the names of this package's functions.
	own string
	// standard is the folder of the standard library; empty with -trimpath.
	standard string
	// main is the path of the program's module; empty if it is not known.
	main string
}

var places = sync.OnceValue(func() codePlaces {
	place := codePlaces{own: reflect.TypeFor[Exception]().PkgPath() + "."}
	// The file of any function of the standard library ends with its package.
	if function := runtime.FuncForPC(reflect.ValueOf(errors.New).Pointer()); function != nil {
		file, _ := function.FileLine(function.Entry())
		place.standard = strings.TrimSuffix(strings.ReplaceAll(file, `\`, "/"), "errors/errors.go")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		place.main = info.Main.Path
	}
	return place
})

// StackTraceExtractor makes the stacks of exceptions.
type StackTraceExtractor interface {
	// GetStackTrace returns the stack of the calling goroutine without its first frames, which
	// skip counts as runtime.Callers does: 2 begins with the caller of GetStackTrace.
	GetStackTrace(skip int) *ExceptionStacktrace
}

// DefaultStackTraceExtractor is the one that is used if no other is given.
type DefaultStackTraceExtractor struct {
	// InAppDecider is SimpleInAppDecider if it is nil.
	InAppDecider InAppDecider
}

// GetStackTrace returns at most 64 frames.
func (d DefaultStackTraceExtractor) GetStackTrace(skip int) *ExceptionStacktrace {
	var pcs [maxFrames]uintptr
	return d.stackOf(framesOf(pcs[:runtime.Callers(skip, pcs[:])]))
}

// stackOf makes a stack of frames, which are innermost first.
func (d DefaultStackTraceExtractor) stackOf(frames []runtime.Frame) *ExceptionStacktrace {
	inApp := d.InAppDecider
	if inApp == nil {
		inApp = SimpleInAppDecider
	}
	stack := &ExceptionStacktrace{Type: "raw", Frames: []StackFrame{}}
	for _, frame := range slices.Backward(frames[:min(len(frames), maxFrames)]) {
		stack.Frames = append(stack.Frames, StackFrame{
			Filename: frame.File, LineNo: frame.Line, Function: frame.Function, InApp: inApp(frame), Platform: "go",
		})
	}
	return stack
}

func framesOf(pcs []uintptr) (frames []runtime.Frame) {
	if len(pcs) == 0 {
		return nil
	}
	for next, more := runtime.CallersFrames(pcs), true; more; {
		var frame runtime.Frame
		if frame, more = next.Next(); frame.PC != 0 {
			frames = append(frames, frame)
		}
	}
	return frames
}

// panicStackTrace returns the stack of a panic that is under way, as it was where the panic
// began. It is for deferred functions.
func panicStackTrace() *ExceptionStacktrace {
	// Above the place of the panic are the deferred function and the runtime.
	var pcs [maxFrames + 32]uintptr
	frames := framesOf(pcs[:runtime.Callers(1, pcs[:])])
	ofRuntime := func(frame runtime.Frame) bool { return strings.HasPrefix(frame.Function, "runtime.") }
	if begin := slices.IndexFunc(frames, func(frame runtime.Frame) bool { return frame.Function == "runtime.gopanic" }); begin >= 0 {
		frames = frames[begin:]
	}
	for len(frames) > 0 && ofRuntime(frames[0]) {
		frames = frames[1:]
	}
	return DefaultStackTraceExtractor{}.stackOf(frames)
}
