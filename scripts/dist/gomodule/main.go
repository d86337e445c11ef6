// Command gomodule packs a folder as a version of a Go module and adds it to a folder that the go command can use as
// GOPROXY=file://….
//
//	go run . -folder FOLDER -version v1.2.3 -time 2026-01-02T03:04:05Z -proxy PROXY
//
// The path of the module is that of FOLDER/go.mod. The zip is made by golang.org/x/mod/zip, so it has the hash that
// the go command computes when it fetches the same files from a tag, and the rules of the module proxy are checked:
// names of files, at most 500 MB. It prints the hash, which go.sum files will contain, and the size.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gomodule: ")
	folder := flag.String("folder", "", "the files of the module")
	version := flag.String("version", "", "its version, such as v1.2.3")
	committed := flag.String("time", "", "the time of the version, as in RFC 3339")
	proxy := flag.String("proxy", "", "where to write to")
	flag.Parse()
	if flag.NArg() > 0 || *folder == "" || *version == "" || *committed == "" || *proxy == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := pack(*folder, *version, *committed, *proxy); err != nil {
		log.Fatal(err)
	}
}

func pack(folder, version, committed, proxy string) error {
	goMod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return err
	}
	path := modfile.ModulePath(goMod)
	if err := module.Check(path, version); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, committed)
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, at.UTC()})
	if err != nil {
		return err
	}
	escaped, err := module.EscapePath(path)
	if err != nil {
		return err
	}
	versions := filepath.Join(proxy, escaped, "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	archive := filepath.Join(versions, version+".zip")
	if err := write(archive, module.Version{Path: path, Version: version}, folder); err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".mod":  goMod,
		version + ".info": append(info, '\n'),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), text, 0o644); err != nil {
			return err
		}
	}
	hash, err := dirhash.HashZip(archive, dirhash.Hash1)
	if err != nil {
		return err
	}
	size, err := os.Stat(archive)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s %s, %d bytes\n", path, version, hash, size.Size())
	return nil
}

// write makes the zip and checks it as the go command does before it uses one.
func write(archive string, version module.Version, folder string) error {
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := zip.CreateFromDir(file, version, folder); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	checked, err := zip.CheckZip(version, archive)
	if err != nil {
		return err
	}
	return checked.Err()
}
