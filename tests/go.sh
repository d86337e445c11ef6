#!/usr/bin/env bash
# go.sh SINK: the Go package: its tests in every way in which it can be built,
# its README, and a consumer's module.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
work=$(mktemp -d)
# Files of the module cache are read-only.
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
package=$PWD/bindings/go

cmp include/phc.h "$package/phc.h" || { echo "bindings/go/phc.h is not include/phc.h; run make go" >&2; exit 1; }
scripts/go-archive.sh
start_sink "$work" --quiet
export PHC_SINK=127.0.0.1:$SINK_PORT

# An installation for the builds that link the shared library. Its place is the same
# every time, and named in a variable that go heeds: what pkg-config says it asks once,
# and then links from where an earlier run had its installation.
prefix=$PWD/target/go-prefix
make -s install PREFIX="$prefix" >"$work/install.log"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
dynamic() { CGO_LDFLAGS="-O2 -g -L$prefix/lib" LD_LIBRARY_PATH=$prefix/lib "$@"; }

echo "-- form"
unformed=$(gofmt -l bindings/go conformance/workers/go)
[ -z "$unformed" ] || { echo "gofmt would change $unformed" >&2; exit 1; }
for module in bindings/go bindings/go/bench conformance/workers/go; do
    (cd "$module" && three_times go mod download && go vet ./... && three_times go mod tidy -diff)
done
(cd "$package" && CGO_ENABLED=0 go vet ./... && go vet -tags phc_dynamic ./... && GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go vet ./...)

# run NAME [GO TEST ARGUMENT…]: all tests, none of them skipped.
run() {
    echo "-- tests, $1"
    (cd "$package" && timeout 500 go test -count=1 -shuffle=on -v "${@:2}" . >"$work/out" 2>&1) || {
        cat "$work/out"
        exit 1
    }
    if grep -e '^--- SKIP' "$work/out"; then echo "a test was skipped" >&2; exit 1; fi
    echo "$(grep -c '^--- PASS' "$work/out") passed"
}
run "static"
HTTPS_PROXY=http://proxy.example:3128 run "with a proxy in the environment" -run Environment
run "race detector" -race
GOEXPERIMENT=cgocheck2 run "cgocheck2"
GODEBUG=cgocheck=1 run "cgocheck"
CGO_ENABLED=0 run "without cgo"
dynamic run "shared library" -tags phc_dynamic

echo "-- the README's quickstart, in a module of its own"
mkdir "$work/consumer"
awk '/^```go$/ { inside = 1; next } /^```$/ { exit } inside' "$package/README.md" >"$work/consumer/main.go"
(
    cd "$work/consumer"
    cat >go.mod <<MODULE
module example.com/consumer

go 1.24

require github.com/PostHog/libphc/bindings/go v0.0.0

replace github.com/PostHog/libphc/bindings/go => $package
MODULE
    go build -o static .
    dynamic go build -tags phc_dynamic -o dynamic .
    go mod vendor
    go build -mod=vendor -o vendored .
)
export POSTHOG_API_KEY=phc_readme
for built in static dynamic vendored; do
    host=http://$PHC_SINK/readme/$built
    POSTHOG_HOST=$host dynamic "$work/consumer/$built"
    [ "$(curl -fsS "$host/_accepted" | wc -l)" -eq 1 ] || { echo "no event of the $built quickstart arrived" >&2; exit 1; }
    [ "$(curl -fsS "$host/_violations")" = '[]' ] || { curl -fsS "$host/_violations"; exit 1; }
done
if ldd "$work/consumer/static" | grep libphc; then echo "the static build needs libphc.so" >&2; exit 1; fi

echo "-- a library of another binary interface"
echo 'unsigned phc_abi_version(void) { return 99; }' | cc -shared -fPIC -x c - -o "$work/other.so"
if POSTHOG_HOST=$host LD_PRELOAD=$work/other.so dynamic "$work/consumer/dynamic" 2>"$work/out"; then
    echo "it was taken" >&2
    exit 1
fi
grep 'binary interface 99; this package (.*) needs interface 1' "$work/out"

echo "-- the benchmark runs"
(cd bindings/go/bench && go run . -rounds 1 -events 500)
stop_sink
echo "Go: passed"
