#!/usr/bin/env bash
# scripts/abi-baseline.sh reports each kind of change of the binary interface, and distinguishes additions
# from incompatible changes. This changes copies of the header, in functions and structs that always exist.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
count() { # count OK WHAT
    if [ "$1" = ok ]; then
        passed=$((passed + 1))
        echo "ok $2"
    else
        failed=$((failed + 1))
        echo "FAILED $2"
        cat "$work/out"
    fi
}

# changed KIND WHAT SCRIPT: checks the header after this sed script, which must apply. KIND is the expected
# verdict, `incompatible` or `unrecorded`.
changed() {
    local kind=$1 what=$2 script=$3 result=ok verdict='is incompatible with the interface'
    [ "$kind" = incompatible ] || verdict='run scripts/abi-baseline.sh update'
    sed -z -E "$script" include/phc.cdef.h >"$work/phc.cdef.h"
    if cmp -s include/phc.cdef.h "$work/phc.cdef.h"; then
        echo "the sed script does not apply" >"$work/out"
        result=bad
    elif scripts/abi-baseline.sh check "$work/phc.cdef.h" abi >"$work/out" 2>&1; then
        result=bad
    else
        grep -q "$verdict" "$work/out" || result=bad
    fi
    if [ $result = ok ] && [ "$kind" = incompatible ]; then
        # `update` must refuse it and leave the baseline alone.
        rm -rf "$work/abi"; cp -r abi "$work/abi"
        ! scripts/abi-baseline.sh update "$work/phc.cdef.h" "$work/abi" >>"$work/out" 2>&1 || result=bad
        cmp -s abi/libphc.abi "$work/abi/libphc.abi" || result=bad
    elif [ $result = ok ]; then
        rm -rf "$work/abi"; cp -r abi "$work/abi"
        scripts/abi-baseline.sh update "$work/phc.cdef.h" "$work/abi" >>"$work/out" 2>&1 || result=bad
        scripts/abi-baseline.sh check "$work/phc.cdef.h" "$work/abi" >>"$work/out" 2>&1 || result=bad
    fi
    count $result "$what"
}

result=ok
scripts/abi-baseline.sh check >"$work/out" 2>&1 || result=bad
count $result "the header matches abi/: $(tail -1 "$work/out")"

changed incompatible "a field of a struct has another type" 's/uint64_t settled;/int32_t settled;/'
changed incompatible "two fields have changed places" \
    's/(uint64_t delivered;)([^}]*)(uint64_t lost;)/\3\2\1/'
changed incompatible "a field was inserted in the middle" 's/(uint64_t settled;)/\1 uint64_t another;/'
changed incompatible "a field was removed" 's/uint64_t pending;//'
changed incompatible "a parameter has another type" \
    's/(phc_flush\(struct phc_client \*client,[^,]*)uint32_t timeout_ms/\1uint64_t timeout_ms/'
changed incompatible "a parameter was added" 's/(phc_capture\([^)]*)\)/\1, int more)/'
changed incompatible "a return type has changed" 's/phc_status (phc_flush\()/uint64_t \1/'
changed incompatible "a function was removed" 's/phc_status phc_capture\([^)]*\);//'
changed incompatible "a callback has another parameter" \
    's/(\*phc_error_callback\)\()[^)]*\)/\1int what, void *user_data)/'
changed incompatible "a type is smaller" 's/typedef int32_t phc_status;/typedef int16_t phc_status;/'
changed incompatible "a constant has another number" 's/PHC_CLOSED = [0-9]+/PHC_CLOSED = 99/'
changed incompatible "a constant was removed" 's/PHC_TIMEOUT = [0-9]+,//'
changed unrecorded "a function was added" 's/$/phc_status phc_one_more(phc_client *client);\n/'
changed unrecorded "a constant was added" 's/$/enum { PHC_ONE_MORE = 77 };\n/'
changed unrecorded "a field was added at the end of a struct that is passed with its size" \
    's/uint64_t pending;/uint64_t pending; uint64_t one_more;/'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
