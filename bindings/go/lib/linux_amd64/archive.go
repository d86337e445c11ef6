// Package linux_amd64 is the folder of libphc.a for Linux with glibc on x86-64.
// It has no code: being a package makes `go mod vendor` copy the folder.
package linux_amd64
