# shellcheck shell=bash
# Every case of the conformance suite, with the worker in C compiled and linked in this system against the installed
# package. The runner is this machine's, with the C library that it was built for.
# shellcheck source=scripts/dist/suites/installed.sh
. /phc/suites/installed.sh
# shellcheck disable=SC2086 # words
$CC -std=c11 -D_GNU_SOURCE -O1 $CFLAGS /phc/conformance/workers/c/*.c $SHARED -o "worker$EXE"
/phc/tools/ld.so --library-path /phc/tools /phc/tools/phc-conformance run --level all --root /phc/conformance \
    --worker "c=$RUN $PWD/worker$EXE" >cases 2>&1 || { tail -60 cases; exit 1; }
tail -3 cases
echo "REMARK: $(grep -o '[0-9]* passed.*' cases | tail -1)"
