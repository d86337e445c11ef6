# shellcheck shell=bash
# Sourced by the tests beside it: runs checks, prints a line for each, and counts them in `passed` and `failed`.
#
#   check WHAT COMMAND…          with the output of the command
#   check_quietly WHAT COMMAND…  with its output only if it fails. The output is kept in $work/out

passed=0 failed=0

check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok $what"
    else
        failed=$((failed + 1))
        echo "FAILED $what"
    fi
}

check_quietly() {
    local what=$1
    shift
    check "$what" shown_if_it_fails "$@"
}

shown_if_it_fails() {
    "$@" >"${work:?}/out" 2>&1 || { cat "$work/out"; return 1; }
}
