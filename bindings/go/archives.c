//go:build cgo && !phc_dynamic && !phc_vet && linux && !android && (amd64 || arm64)

/* Fails to compile, and says what to do, if the archive that this build needs is missing. Without this
 * the linker would list the undefined symbols. go vet compiles C but does not link: with -tags phc_vet it
 * needs no archive. */

#include <features.h>

#define TEXT_OF(tokens) #tokens
#define TEXT(tokens) TEXT_OF(tokens)
/* clang-format off */
#define ARCHIVE(name) TEXT(PHC_ARCHIVES/name)

/* GCC before 5 cannot ask. */
#ifdef __has_include
#if !__has_include(ARCHIVE(libphc_glibc.a)) && !__has_include(ARCHIVE(libphc_musl.a))
#error "This copy of github.com/PostHog/libphc/bindings/go has no libphc for this processor: only releases contain it. Take a release (go get github.com/PostHog/libphc/bindings/go@latest), or run `make go` in this checkout of libphc, or install libphc and build with -tags phc_dynamic."
#elif defined(__GLIBC__) && !__has_include(ARCHIVE(libphc_glibc.a))
#error "This copy of github.com/PostHog/libphc/bindings/go has libphc for musl only, and this C compiler is for glibc. Take a release (go get github.com/PostHog/libphc/bindings/go@latest), or set CC to a C compiler for musl, or install libphc and build with -tags phc_dynamic."
#elif !defined(__GLIBC__) && !__has_include(ARCHIVE(libphc_musl.a))
#error "This copy of github.com/PostHog/libphc/bindings/go has libphc for glibc only, and this C compiler is for musl. Take a release (go get github.com/PostHog/libphc/bindings/go@latest), or set CC to a C compiler for glibc, or install libphc and build with -tags phc_dynamic."
#endif
#endif
