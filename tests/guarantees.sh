#!/usr/bin/env bash
# guarantees.sh: every promise of docs/guarantees.md names a test, and every test
# that it names exists.
set -euo pipefail
cd "$(dirname "$0")/.."
page=docs/guarantees.md
bad=0
complain() { echo "FAILED $*" >&2; bad=1; }

# Promises are list items, and rows of tables but for their heads.
promises=$(sed '/^## What is not promised/,$d' "$page" | grep -E '^(- |\| )' | grep -vE '^\| (when|thread|what) \||^\|---')
while IFS= read -r promise; do
    [[ $promise =~ \[\`[^]]*\`\]( \|)?$ ]] || complain "a promise without a test: ${promise:0:100}"
done <<<"$promises"

tests=$(grep -o '\[`[^]]*`\]' "$page" | grep -o '`[^`]*`' | tr -d '`' | sort -u)
count=0
while IFS= read -r name; do
    count=$((count + 1))
    kind=${name%%: *} test=${name#*: }
    case $name in
    scenario:*) grep -rqF "\"name\": \"$test\"" conformance/scenarios ;;
    vector:*) grep -rqF "\"name\": \"$test\"" conformance/vectors ;;
    unit:*) grep -rqE "fn $test\(" src ;;
    *.c:*) grep -qE "TEST\($test\)" "tests/c/$kind" ;;
    tests/*) [ -x "$name" ] && grep -q "$name" scripts/test.sh ;;
    *) false ;;
    esac || complain "a test that does not exist: $name"
done <<<"$tests"
echo "$(wc -l <<<"$promises") promises, $count tests"
exit $bad
