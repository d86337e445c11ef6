#!/bin/sh
# Stands before rustc (RUSTC_WRAPPER): what PHC_FUZZ_FLAGS asks for is for libphc
# alone, so that coverage guides and counts in the library, not in its dependencies;
# and for `replay`, which must be linked with what writes the counts.
case " $* " in
*" --crate-name phc "* | *" --crate-name replay "*)
    # Appended one by one: they are words without spaces.
    for flag in $PHC_FUZZ_FLAGS; do set -- "$@" "$flag"; done ;;
esac
exec "$@"
