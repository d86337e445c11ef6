#!/usr/bin/env bash
# run.sh [CHECKOUT [ARGUMENT…]]: the benchmark of an Enqueue, beside posthog-go if there is a checkout of it.
set -euo pipefail

peer=${1:+$(realpath "$1")}
shift || true
cd "$(dirname "$0")"
[ -n "$peer" ] || exec go run . "$@"
# The module as it is, but for where posthog-go comes from and what that needs.
work=$(realpath ../../..)/target/bench
mkdir -p "$work"
cp go.mod "$work/enqueue.mod"
cp go.sum "$work/enqueue.sum"
go mod edit -replace "github.com/posthog/posthog-go=$peer" "$work/enqueue.mod"
version=$(sed -n 's/^const Version = "\(.*\)"/\1/p' "$peer/version.go")
commit=$(git -C "$peer" rev-parse --short HEAD 2>/dev/null || echo "no commit")
GOFLAGS=-mod=mod exec go run -modfile "$work/enqueue.mod" -tags peer -ldflags "-X 'main.peer=$version ($commit)'" . "$@"
