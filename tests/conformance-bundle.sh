#!/usr/bin/env bash
# conformance-bundle.sh: the archive for other repositories, used as its page says, in an empty folder: each template's
# worker passes its test and runs cases, the exit codes are those of the page, and the files for CI are written.
#   conformance-bundle.sh [quick]       quick: of the templates only their tests
set -euo pipefail
mode=${1:-whole}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strip -o "$work/runner" "${RUNNER:-target/debug/phc-conformance}"
archive=$(RUNNER=$work/runner scripts/conformance-bundle.sh "$work")
tar -xzf "$archive" -C "$work"
cd "$work"/phc-conformance-*/

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
# expect CODE COMMAND…: its output goes to the file `said`
expect() {
    local wanted=$1 code=0
    shift
    "$@" >said 2>&1 || code=$?
    [ "$code" -eq "$wanted" ] || { cat said >&2; fail "$* exits with $code, expected $wanted"; }
}

ran=0
template() { # LANGUAGE, what must be there, COMMAND
    command -v "$2" >/dev/null || { echo "$1: not run, $2 is missing"; return; }
    expect 0 ./phc-conformance worker-test "$3"
    if [ "$mode" = quick ]; then
        ran=$((ran + 1))
        return
    fi
    expect 0 ./phc-conformance run --worker "$1=$3" --only verdict-retry-then
    grep -q "scenarios/verdicts  *2 ok" said || { cat said >&2; fail "$1 does not pass the cases"; }
    echo "$1: passed"
    ran=$((ran + 1))
}
template python python3 "python3 templates/python/worker.py"
template javascript node "node templates/javascript/worker.mjs"
if command -v javac >/dev/null; then javac -d classes templates/java/*.java; fi
template java javac "java -cp classes Worker"
template elixir elixir "elixir templates/elixir/worker.exs"
if command -v mcs >/dev/null; then mcs -out:worker.exe -r:System.Net.Http,System.Numerics templates/csharp/*.cs; fi
template csharp mcs "mono worker.exe"
if command -v dotnet >/dev/null; then dotnet build -v quiet -o dotnet templates/csharp >&2; fi
template csharp-dotnet dotnet "dotnet dotnet/worker.dll"
[ "$ran" -gt 0 ] || fail "no template could be run"

# The client of the template does not lift properties.
python="mine=python3 templates/python/worker.py"
expect 1 ./phc-conformance run --worker "$python" --only lift-session-id-text --junit results.xml --html results.html
grep -q 'failures="2"' results.xml || { cat results.xml >&2; fail "the JUnit file"; }
grep -q '<th>vectors/lifting/lift-session-id-text<td>protocol<td class=bad>failed' results.html || fail "the page"
expect 2 ./phc-conformance run --worker "mine=false" --only verdict-ok
expect 2 ./phc-conformance run --worker "$python" --level servers
grep -q "the levels are server, protocol and libphc" said || fail "the message about levels"
# A worker that does not speak the protocol is found before the cases are run.
cat >wrong.py <<'WRONG'
import json, sys
for line in sys.stdin:
    hello = {"sdk_name": "x", "sdk_version": "1", "forms": ["x"]}
    print(json.dumps(hello if '"hello"' in line else {"status": "ok"}), flush=True)
WRONG
expect 1 ./phc-conformance worker-test "python3 wrong.py"
grep -q "FAILED  the event arrives with its name unchanged: no event arrived" said || fail "the worker's test"
# Every page that a page names is there.
for page in *.md; do
    while read -r link; do
        [ -e "$link" ] || fail "$page names $link, which is not in the archive"
    done < <(grep -o '\]([^)]*)' "$page" | sed 's/^](\([^)#]*\).*/\1/' | grep -v '^$\|^https*:' | sort -u)
done
for name in INDEX.md settings.md phc-sink.md; do
    grep -q "]($name)" conformance.md || fail "conformance.md does not lead to $name"
done
if grep -nE '(docs|conformance|target)/[a-z]' README.md conformance.md templates/*/*; then
    fail "these lines name a file of the repository"
fi
echo "the archive for other repositories: passed"
