// Package linux_arm64 is the folder of the archives for Linux on arm64: libphc_glibc.a and
// libphc_musl.a. It has no code. It is a package so that `go mod vendor` copies the folder.
package linux_arm64
