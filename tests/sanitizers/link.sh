# Sourced by run-c.sh.

# sanitized KIND: compiles and links the C tests with the library that
# scripts/sanitize.sh has built for address or thread. Library and tests are
# instrumented alike, by rustc and by the C compiler; the runtime is rustc's.
sanitized() {
    local kind=$1 host rustlib
    host=$(rustc -vV | sed -n 's/^host: //p')
    rustlib=$(rustc --print sysroot)/lib/rustlib/$host/lib
    local archive=target/sanitize/$kind/$host/debug/libphc.a
    instrument=("-fsanitize=$kind" -fno-omit-frame-pointer)
    library=("$archive" -Wl,--whole-archive "$rustlib"/librustc-*_rt."${kind:0:1}"san.a -Wl,--no-whole-archive
        -Wl,--export-dynamic "${system[@]}" -lresolv)
    export ASAN_OPTIONS=detect_leaks=${PHC_LEAKS:-1}:detect_stack_use_after_return=1:strict_string_checks=1
    export TSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/thread.supp:halt_on_error=0:exitcode=9:history_size=4"
    [ "$kind" = address ] || std_locks "$archive"
}

# Names of std's that std_locks.c stands before: macro and a part of the name.
std_locks() {
    local archive=$1 macro part name macros=()
    nm "$archive" 2>/dev/null | sed -n 's/^ *U //p' | grep '3std' | sort -u >"$work/std"
    while read -r macro part; do
        name=$(grep -m1 "$part" "$work/std") || { echo "std has no $part any more" >&2; return 1; }
        macros+=("-D$macro=$name")
        library+=("-Wl,--wrap=$name")
    done <<'LIST'
LOCK_CONTENDED 5mutex5futex.*5Mutex14lock_contended
READ_CONTENDED 6rwlock5futex.*6RwLock14read_contended
WRITE_CONTENDED 6rwlock5futex.*6RwLock15write_contended
CONDVAR_WAIT 7condvar5futex.*7Condvar4wait$
CONDVAR_WAIT_TIMEOUT 7condvar5futex.*7Condvar12wait_timeout$
ONCE_CALL 4once5futex.*4Once4call$
LIST
    cc -O1 -g -Wall -Wextra -Werror "${macros[@]}" -c tests/sanitizers/std_locks.c -o "$work/std_locks.o"
    library=("$work/std_locks.o" "${library[@]}")
}
