#!/usr/bin/env bash
# tarball.sh: for each platform, an installation that can be unpacked anywhere:
#
#   libphc-VERSION-TARGET.tar.xz        the libraries, headers, pkg-config and CMake files, phc-sink, phc-cli with man
#                                       pages and completions, documentation, licences; for Windows
#                                       libphc-VERSION-TARGET.zip, without phc-cli
#   libphc-VERSION-TARGET-debug.tar.xz  debug symbols by build id, in lib/debug, where debuggers look below /usr
#
# The same input gives the same bytes. It fails if a platform was not built, or if its build lacks a file.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/dist/pack/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# tar_xz FOLDER FILE: FOLDER, which is in $work, as FILE. One thread, or the bytes depend on their number.
tar_xz() {
    tar -C "$work" --format=gnu --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --mode='u=rwX,go=rX' -cf "$work/tar" "$1"
    xz "-$xz_level" -T1 --check=crc64 -c "$work/tar" >"$2"
    rm "$work/tar"
    packed "$2"
}

# The documentation has its folders, because its pages link to each other.
pages='cpp settings names guarantees callbacks abi embedding protocol moving-over install platforms phc-cli durability spool-format'
documentation() { # documentation FOLDER
    local page
    mkdir -p "$1/docs"
    cp README.md CHANGELOG.md SECURITY.md "$1"
    # Those of other languages are for a checkout, with the packages in bindings/.
    mkdir -p "$1/examples/c" "$1/examples/cpp"
    cp examples/c/quickstart.c "$1/examples/c"
    cp examples/cpp/quickstart.cpp "$1/examples/cpp"
    for page in $pages; do [ ! -f "docs/$page.md" ] || cp "docs/$page.md" "$1/docs"; done
}

# What an installation must have, by platform.
must_have() { # must_have TARGET
    echo include/phc.h include/phc.hpp lib/libphc.a lib/pkgconfig/phc.pc lib/cmake/phc/phcConfig.cmake \
        share/doc/libphc/LICENSE share/doc/libphc/THIRD-PARTY.txt share/doc/libphc/THIRD-PARTY-phc-sink.txt
    case $1 in
    *-linux-*)
        echo "lib/libphc.so.$PHC_VERSION" lib/libphc.so bin/phc-sink bin/phc-cli share/man/man1/phc-cli.1 \
            share/bash-completion/completions/phc-cli share/doc/libphc/THIRD-PARTY-phc-cli.txt
        ;;
    *-windows) echo bin/phc.dll bin/phc-sink.exe lib/libphc.dll.a ;;
    *-macos) echo "lib/libphc.$PHC_VERSION.dylib" lib/libphc.dylib ;;
    esac
}

for target in $PHC_TARGETS; do
    folder=libphc-$PHC_VERSION-$target
    from=$(built "$target")
    for file in $(must_have "$target"); do
        [ -e "$from/$file" ] || { echo "$from lacks $file; run scripts/dist/build.sh $target again" >&2; exit 1; }
    done
    cp -a "$from" "$work/$folder"
    documentation "$work/$folder/share/doc/libphc"
    if [ "$(dist_name "$target" proof)" = unproved ]; then
        echo "This library was built and linked for $target, and never run there: it is unproved." \
            >"$work/$folder/UNPROVED.txt"
    fi
    case $target in
    *-windows) zip_up "$PHC_OUT/$(tarball_name "$target")" "$work" "$folder" ;;
    *) tar_xz "$folder" "$PHC_OUT/$(tarball_name "$target")" ;;
    esac
    if [ -d "$dist/$target.debug" ]; then
        mkdir -p "$work/$folder-debug/lib/debug"
        cp -a "$dist/$target.debug/." "$work/$folder-debug/lib/debug"
        tar_xz "$folder-debug" "$PHC_OUT/$folder-debug.tar.xz"
    else
        echo "  no debug symbols apart for $target: there is no $dist/$target.debug"
    fi
    rm -rf "${work:?}/$folder" "$work/$folder-debug"
done
