// Package empty is the folder of archives without members, which the linker takes for those
// that are missing in the folder of a platform. It has no code. It is a package so that
// `go mod vendor` copies the folder.
package empty
