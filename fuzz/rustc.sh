#!/bin/sh
# Stands before rustc (RUSTC_WRAPPER): what PHC_FUZZ_FLAGS asks for is for libphc
# alone, so that coverage guides and counts in the library, not in its dependencies.
case " $* " in
*" --crate-name phc "*)
    # shellcheck disable=SC2086 # many words
    exec "$@" $PHC_FUZZ_FLAGS ;;
esac
exec "$@"
