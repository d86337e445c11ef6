#!/usr/bin/env bash
# Projects that use libphc in the three ways a C++ project does: find_package, add_subdirectory (with an already built
# library, and with one that cargo builds), pkg-config; each with the shared library and with the archive.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD consumers=$PWD/tests/cpp/consumers
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/checks.sh

project() { # project NAME BUILD OPTION…: configures and builds it
    local name=$1 build=$2
    shift 2
    cmake -S "$consumers/$name" -B "$build" "$@" && cmake --build "$build"
}
# The programs of a build run, and only the right ones need the shared library, by its SONAME.
programs() { # programs FOLDER
    local program
    for program in with_phc c_with_phc; do
        "$1/$program" && readelf -d "$1/$program" | grep -q 'NEEDED.*\[libphc\.so\.0\]' || return 1
    done
    for program in with_phc_static c_with_phc_static; do
        "$1/$program" && ! readelf -d "$1/$program" | grep 'NEEDED.*libphc' || return 1
    done
}
refused() { # refused PART COMMAND…: it fails, and says this
    local part=$1
    shift
    if "$@" >"$work/said" 2>&1; then return 1; fi
    grep -q "$part" "$work/said" || { cat "$work/said"; return 1; }
}

# An installation that is moved to another place.
make -s install DESTDIR="$work/stage" PREFIX=/usr/local >/dev/null
mv "$work/stage/usr/local" "$work/moved"
here=-DCMAKE_PREFIX_PATH=$work/moved
check_quietly "find_package builds" project find_package "$work/found" "$here"
check_quietly "find_package runs" programs "$work/found"
check_quietly "find_package takes a range" project find_package "$work/range" "$here" "-DWANTED=0.0.9...<1"
check_quietly "find_package refuses a newer version" refused 'version: 0\.1' project find_package "$work/newer" "$here" -DWANTED=0.99
check_quietly "find_package refuses another major version" refused 'version: 0\.1' project find_package "$work/major" "$here" -DWANTED=1.0
mv "$work/moved/lib/libphc.a" "$work/libphc.a"
check_quietly "find_package names what is missing" refused 'moved/lib/libphc\.a' project find_package "$work/missing" "$here"
check_quietly "find_package takes an installation without the archive" project find_package "$work/shared" "$here" \
    -DCOMPONENTS=shared
mv "$work/libphc.a" "$work/moved/lib/libphc.a"
mkdir "$work/away"
mv "$work/moved/lib"/libphc.so* "$work/away"
check_quietly "find_package takes an installation without the shared library" project find_package "$work/static" "$here" \
    -DCOMPONENTS=static
rm -r "$work/missing"
check_quietly "find_package names a shared library that is missing" refused 'moved/lib/libphc\.so' \
    project find_package "$work/missing" "$here"
mv "$work/away"/libphc.so* "$work/moved/lib"

check_quietly "add_subdirectory of a built one builds" project add_subdirectory "$work/added" "-DPHC_PREBUILT=$root/target/ship"
check_quietly "add_subdirectory of a built one runs" programs "$work/added"
check_quietly "add_subdirectory says what is missing" refused 'there is no /nowhere/libphc' \
    project add_subdirectory "$work/nowhere" -DPHC_PREBUILT=/nowhere
check_quietly "add_subdirectory builds by cargo" project add_subdirectory "$work/cargo" "-DPHC_CARGO_TARGET_DIR=$root/target"
check_quietly "add_subdirectory by cargo runs" programs "$work/cargo"

export PKG_CONFIG_PATH=$work/moved/lib/pkgconfig
cp -r "$consumers" "$work/consumers"
check_quietly "pkg-config builds" make -C "$work/consumers/pkg_config"
check_quietly "pkg-config runs" env LD_LIBRARY_PATH="$work/moved/lib" \
    bash -c "$(declare -f programs); programs '$work/consumers/pkg_config'"

echo "C++ consumers: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
