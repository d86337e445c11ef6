// Package linux_amd64 is the folder of libphc.a for Linux with glibc on x86-64.
// It has no code. It is a package so that `go mod vendor` copies the folder.
package linux_amd64
