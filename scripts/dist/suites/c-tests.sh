# shellcheck shell=bash
# The black-box tests in C (tests/c), compiled in this system and linked with the installed package: all programs but
# those that need a library of their own. PHC_TEST is c-shared or c-archive. The archive leaves out what measures memory
# and time, as `make test` does. PHC_PROGRAMS="fork exit" runs these only.
# shellcheck source=scripts/dist/suites/installed.sh
. /phc/suites/installed.sh
other_tasks='panics sanitizer_checks soak idle'
link=$SHARED
if [ "$PHC_TEST" = c-archive ]; then
    link=$ARCHIVE
    other_tasks="$other_tasks allocations network deadlines memory memory_shortage"
fi
# Tests look at processes and names of the system.
get procps iproute2
cp -R /phc/tests tests
cp -R /phc/tests/abi abi
# What the programs have in common: the sources that have a header.
common=
for header in tests/c/*.h; do
    [ ! -e "${header%.h}.c" ] || common="$common ${header%.h}.c"
done
passed=0 failed=0
for file in tests/c/*.c; do
    name=$(basename "$file" .c)
    [ -z "${PHC_PROGRAMS:-}" ] || [[ " $PHC_PROGRAMS " == *" $name "* ]] || continue
    if ! grep -q 'RUN_TESTS(' "$file" || [[ " $other_tasks " == *" $name "* ]]; then continue; fi
    # shellcheck disable=SC2086 # words
    $CC -std=c11 -D_GNU_SOURCE -O1 -g $CFLAGS "$file" $common $link \
        -lpthread -ldl -lrt -o "./$name"
    status=0
    PHC_SINK=$PHC_SINK timeout 300 "./$name" >said 2>&1 || status=$?
    cat said
    # The last line of a program is "N passed, N failed".
    passed=$((passed + $(sed -n 's/^\([0-9]*\) passed, .*/\1/p' said | tail -1 || true) + 0))
    if [ $status -ne 0 ]; then
        failed=$((failed + 1))
        echo "FAILED $name ended with $status"
    fi
done
echo "REMARK: $passed tests passed, $failed programs failed"
[ "$failed" -eq 0 ] && { [ -n "${PHC_PROGRAMS:-}" ] || [ "$passed" -gt 100 ]; }
