#!/usr/bin/env bash
# packages-c.sh [TARGET]: makes the packages for C and C++ of a platform that this machine can run, and uses each of them
# as its users do, in temporary folders: nothing is installed. scripts/dist/build.sh TARGET must have run.
#
# lintian, apt, Ruby and Conan are used where they are: what is missing is said, and counted as not tried. CONAN=install
# installs Conan, pinned, in target/tools/conan. VCPKG_ROOT names a checkout of vcpkg, whose scripts then run the port.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
. scripts/dist/targets.sh
target=${1:-x86_64-linux-gnu} root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/checks.sh
left_out=0
not_tried() { left_out=$((left_out + 1)); echo "NOT TRIED $*"; }
refused() { # refused PART COMMAND…: it fails, and says this
    local part=$1
    shift
    if "$@" >"$work/refusal" 2>&1; then return 1; fi
    grep -q "$part" "$work/refusal" || { cat "$work/refusal"; return 1; }
}

PHC_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 1700000000)
export SOURCE_DATE_EPOCH PHC_VERSION PHC_TARGETS=$target PHC_OUT=$work/dist PHC_RELEASE_URL=file://$work/dist PHC_XZ_LEVEL=1
for kind in tarball deb recipes; do
    echo "== $kind"
    "scripts/dist/pack/$kind.sh"
done
name=libphc-$PHC_VERSION-$target

echo "== used"
unpack() {
    mkdir "$work/unpacked" && tar -xJf "$work/dist/$name.tar.xz" -C "$work/unpacked" &&
        mv "$work/unpacked/$name" "$work/moved" && # and moved
        ! grep -rl "$root" "$work/moved" # that names no folder of this machine
}
check_quietly "tarball: unpacks, and names no folder of this tree" unpack
if ! [ -x "$work/moved/bin/phc-sink" ]; then echo "packages for C: without the tarball nothing else can be tried"; exit 1; fi

# Everything from the package: the example, the library, and the sink to which it delivers.
SINK=$work/moved/bin/phc-sink
mkdir "$work/sink"
start_sink "$work/sink"
# delivers BUILD: the quickstart in BUILD delivers its events.
delivers() {
    "$1/quickstart" "http://127.0.0.1:$SINK_PORT" phc_packages | tee "$work/delivered"
    grep -q 'flush: ok; [34] delivered, 0 lost, 0 pending' "$work/delivered"
}
by_pkg_config() { # by_pkg_config FOLDER LIBS: builds and runs the C example with that installation
    local build=$work/by_pkg_config_$2
    mkdir "$build" && cp "$work/moved/share/doc/libphc/examples/c/quickstart.c" "$build"
    export PKG_CONFIG_PATH=$1/pkgconfig
    local flags libs
    read -ra flags < <(pkg-config --cflags phc)
    case $2 in
    shared) read -ra libs < <(pkg-config --libs phc) && libs+=("-Wl,-rpath,$1") ;;
    static) read -ra libs < <(pkg-config --libs --static phc | sed 's/-lphc/-l:libphc.a/') ;;
    alone) read -ra libs < <(pkg-config --libs --static phc) && libs+=(-static) ;;
    esac
    cc "$build/quickstart.c" "${flags[@]}" "${libs[@]}" -o "$build/quickstart" && delivers "$build"
}
check_quietly "tarball: by pkg-config, shared" by_pkg_config "$work/moved/lib" shared
check_quietly "tarball: by pkg-config, static" by_pkg_config "$work/moved/lib" static
check_quietly "tarball: by pkg-config, a static program" by_pkg_config "$work/moved/lib" alone
frames() { readelf -W --program-headers "$work/by_pkg_config_alone/quickstart" | grep GNU_EH_FRAME; }
check_quietly "tarball: the static program has the table of frames, for the unwinder of the archive" frames
unwinder() { # the archives of a release have their own
    ! nm -u "$1" | grep _Unwind_ && ! grep gcc_s "$2/pkgconfig/phc.pc" "$2/cmake/phc/phcConfig.cmake"
}
check_quietly "tarball: the archive needs no unwinder of gcc" unwinder "$work/moved/lib/libphc.a" "$work/moved/lib"

# phc-cli sends by the sink; what it keeps on disk shows that it has the spool.
sends() {
    local cli=$1 spool=$work/cli.spool events=$work/cli.ndjson
    export POSTHOG_HOST=http://127.0.0.1:$SINK_PORT/cli POSTHOG_API_KEY=phc_packages
    echo '{"event":"imported","distinct_id":"me","timestamp":"2020-01-31T12:00:00Z"}' >"$events"
    "$cli" send --historical --spool "$spool" "$events" && "$cli" spool check "$spool" && "$cli" spool drain "$spool" &&
        curl -fsS "$POSTHOG_HOST/_events" | grep '"event":"imported"' >/dev/null && "$cli" --version | grep "$PHC_VERSION"
}
check_quietly "tarball: phc-cli imports a file and looks after its spool" sends "$work/moved/bin/phc-cli"
documented() { # documented FOLDER [ZSH]: a man page for each command, and completions for each shell
    local page
    for page in phc-cli{,-check,-send,-spool,-spool-{list,check,export,drain,discard},-completions,-man-pages}; do
        [ -s "$1/man/man1/$page.1" ] || [ -s "$1/man/man1/$page.1.gz" ] || { echo "no page $page"; return 1; }
    done
    grep -q 'complete .*phc-cli' "$1/bash-completion/completions/phc-cli" &&
        grep -q 'complete -c phc-cli' "$1/fish/vendor_completions.d/phc-cli.fish" &&
        grep -q '#compdef phc-cli' "$1/zsh/${2:-site-functions}/_phc-cli"
}
check_quietly "tarball: man pages and completions" documented "$work/moved/share"

find_package() {
    rm -rf "$work/found"
    cmake -S tests/cpp/consumers/find_package -B "$work/found" "$@" && cmake --build "$work/found"
}
check_quietly "tarball: by find_package" find_package "-DCMAKE_PREFIX_PATH=$work/moved"
check_quietly "tarball: by find_package, runs" eval "'$work/found/with_phc' && '$work/found/with_phc_static'"

# The project of docs/cpp.md, with the URL and the hash of this tarball.
fetch_content() { # fetch_content HASH
    rm -rf "$work/fetched"
    mkdir "$work/fetched"
    awk '/^```cmake/ { block = ""; inside = 1; next } /^```/ { if (inside && block ~ /FetchContent/) printf "%s", block; inside = 0 }
        inside { block = block $0 "\n" }' docs/cpp.md |
        sed "s|https://.*/\(libphc-\)[^ ]*|file://$work/dist/$name.tar.xz|; s|<hash>|$1|" >"$work/fetched/CMakeLists.txt"
    grep -q "URL file://$work/dist/$name.tar.xz" "$work/fetched/CMakeLists.txt" || return 1
    cp examples/cpp/quickstart.cpp "$work/fetched/game.cpp"
    cmake -S "$work/fetched" -B "$work/fetched/build" && cmake --build "$work/fetched/build" &&
        cp "$work/fetched/build/game" "$work/fetched/quickstart"
}
check_quietly "tarball: by FetchContent with its hash, as in docs/cpp.md" \
    fetch_content "$(sha256sum "$work/dist/$name.tar.xz" | cut -d' ' -f1)"
check_quietly "tarball: by FetchContent, delivers" delivers "$work/fetched"
check_quietly "tarball: FetchContent refuses another hash" refused 'does not match expected value' \
    fetch_content "$(printf '0%.0s' {1..64})"

# Debian packages.
arch=$(dist_name "$target" deb)
if ! command -v dpkg-deb >/dev/null || [ "$arch" = - ]; then not_tried "deb: there are none for $target here"; else
    debs() { # that unpack side by side
        local deb
        for deb in "$work"/dist/*.deb; do dpkg-deb -x "$deb" "$work/root" || return 1; done
        # dpkg-deb makes links as they are; no package may bring what another has.
        for deb in "$work"/dist/*.deb; do dpkg-deb -c "$deb" | awk '$1 !~ /^d/ { print $6 }'; done | sort | uniq -d >"$work/twice"
        [ ! -s "$work/twice" ] || { cat "$work/twice"; return 1; }
    }
    check_quietly "deb: they unpack, and have no file in common" debs
    check_quietly "deb: phc-tools has phc-cli, with man pages and completions" documented "$work/root/usr/share" vendor-completions
    check_quietly "deb: phc-cli runs" eval "'$work/root/usr/bin/phc-cli' --version | grep '$PHC_VERSION'"
    check_quietly "deb: phc.pc names the system's folders" grep -qx 'prefix=/usr' "$work/root/usr/lib/$target/pkgconfig/phc.pc"
    check_quietly "deb: by find_package" find_package "-Dphc_DIR=$work/root/usr/lib/$target/cmake/phc"
    check_quietly "deb: by find_package, runs" eval "'$work/found/with_phc' && '$work/found/with_phc_static'"
    needs() { # of a libphc0: glibc only, of the version that its symbols have
        local newest
        newest=$(objdump -T "$work/root/usr/lib/$target/libphc.so.$PHC_VERSION" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
        [ "$(dpkg-deb -f "$work"/dist/libphc0_*.deb Depends)" = "libc6 (>= ${newest#GLIBC_})" ]
    }
    check_quietly "deb: libphc0 depends on glibc alone" needs
    symbols() {
        dpkg-deb --ctrl-tarfile "$work"/dist/libphc0_*.deb | tar -xO ./symbols | sed -n 's/^ \(phc_[a-z0-9_]*\)@.*/\1/p' |
            diff - abi/symbols.txt
    }
    check_quietly "deb: the symbols file has the exported functions" symbols
    if command -v lintian >/dev/null; then
        check_quietly "deb: lintian" lintian --fail-on error,warning --allow-root --no-tag-display-limit "$work"/dist/*.deb
    else
        not_tried "deb: lintian is missing (apt install lintian)"
    fi
    if command -v apt-get >/dev/null && [ "$arch" = "$(dpkg --print-architecture)" ]; then
        apt_here() { # apt_here COMMAND…: apt with our repository only, and lists and cache of its own
            mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
            echo "deb [trusted=yes] file:$work/dist/apt stable main" >"$work/apt/sources.list"
            apt-get -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root \
                -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o Debug::NoLocking=1 "$@"
        }
        check_quietly "deb: apt reads the repository" eval "apt_here update && ! grep -i 'warning\|error\|W:' '$work/out'"
        simulated() { apt_here -s -y install libphc-dev phc-tools && grep -q 'Inst libphc0 ' "$work/out"; }
        check_quietly "deb: apt would install libphc-dev, with libphc0" simulated
    else
        not_tried "deb: apt on $arch is not here"
    fi
fi

# Conan builds its test package with the shared library and with the archive.
conan=$(command -v conan || true)
if [ -x target/tools/conan/bin/conan ]; then conan=$root/target/tools/conan/bin/conan; fi
if [ -z "$conan" ] && [ "${CONAN-}" = install ]; then
    echo "installing into target/tools/conan: $(sed -n 's/^conan==/Conan /p' packaging/conan/requirements.in)"
    python3 -m venv target/tools/conan
    three_times target/tools/conan/bin/pip install -q --require-hashes --only-binary :all: -r packaging/conan/requirements.txt
    conan=$root/target/tools/conan/bin/conan
fi
if [ -n "$conan" ]; then
    export CONAN_HOME=$work/conan
    check_quietly "conan: makes a profile" "$conan" profile detect
    create() { # create SHARED
        rm -rf "$work/recipe"
        cp -r "$work/dist/conan" "$work/recipe"
        "$conan" create "$work/recipe" -o "libphc/*:shared=$1"
    }
    check_quietly "conan: create, shared" create True
    check_quietly "conan: create, static" create False
    check_quietly "conan: says for which platforms there is no library" refused 'has no library for mips-linux-gnu; it has' \
        "$conan" create "$work/recipe" -s arch=mips --test-folder=
else
    not_tried "conan: it is missing (CONAN=install puts it into target/tools)"
fi

# vcpkg: its manifest, and the port by vcpkg's own scripts where they are.
manifest() {
    python3 - "$work/dist/vcpkg/libphc/vcpkg.json" "$PHC_VERSION" <<'PYTHON'
import json, sys
port = json.load(open(sys.argv[1]))
assert port["name"] == "libphc" and port["version"] == sys.argv[2] and port["license"] == "MIT", port
PYTHON
}
check_quietly "vcpkg: the manifest" manifest
check_quietly "vcpkg: the port has the hash" grep -q "$(sha512sum "$work/dist/$name.tar.xz" | cut -d' ' -f1)" \
    "$work/dist/vcpkg/libphc/portfile.cmake"
port() { # port TRIPLET COMPONENT: what `vcpkg install` runs, and a project that uses it
    local triplet=$1 here=$work/vcpkg
    mkdir -p "$here/downloads" && cp "$work/dist/$name.tar.xz" "$here/downloads"
    # For shared libraries vcpkg downloads patchelf, to write its folder into them; that is left out.
    { cat "$(find "$VCPKG_ROOT/triplets" -name "$triplet.cmake")" && echo 'set(VCPKG_FIXUP_ELF_RPATH OFF)'; } >"$here/triplet.cmake"
    cmake -DCMD=BUILD -DPORT=libphc "-DVERSION=$PHC_VERSION" "-DCURRENT_PORT_DIR=$work/dist/vcpkg/libphc" \
        "-DTARGET_TRIPLET=$triplet" "-DTARGET_TRIPLET_FILE=$here/triplet.cmake" \
        "-DVCPKG_ROOT_DIR=$VCPKG_ROOT" "-DDOWNLOADS=$here/downloads" "-DBUILDTREES_DIR=$here/build" \
        "-DCURRENT_BUILDTREES_DIR=$here/build/libphc" "-D_VCPKG_INSTALLED_DIR=$here/installed" "-DPACKAGES_DIR=$here/packages" \
        "-DCURRENT_PACKAGES_DIR=$here/packages/$triplet" -D_HOST_TRIPLET=x64-linux -DHOST_TRIPLET=x64-linux -DFEATURES=core \
        -DVCPKG_BASE_VERSION=2026-07-27 -P "$VCPKG_ROOT/scripts/ports.cmake" &&
        cmake -S tests/cpp/consumers/find_package -B "$here/$triplet" "-Dphc_DIR=$here/packages/$triplet/share/phc" \
            "-DCOMPONENTS=$2" && cmake --build "$here/$triplet" && "$here/$triplet/with_phc${3-}"
}
if [ -n "${VCPKG_ROOT-}" ] && [ "$target" = x86_64-linux-gnu ]; then
    check_quietly "vcpkg: the port, static" port x64-linux static _static
    check_quietly "vcpkg: the port, dynamic" port x64-linux-dynamic shared
else
    not_tried "vcpkg: the port (VCPKG_ROOT names no checkout of vcpkg)"
fi

# Homebrew: the formula is Ruby, and each hash is that of the tarball beside it.
if [ ! -f "$work/dist/homebrew/phc.rb" ]; then not_tried "homebrew: there is no formula for $target"; else
    if command -v ruby >/dev/null; then check_quietly "homebrew: the formula is Ruby" ruby -c "$work/dist/homebrew/phc.rb"
    else not_tried "homebrew: ruby is missing"; fi
    formula() {
        local url hash
        while read -r url hash; do
            [ "$(sha256sum "${url#file://}" | cut -d' ' -f1)" = "$hash" ] || return 1
        done < <(sed -n 's/^ *url "\(.*\)"/\1/p; s/^ *sha256 "\(.*\)"/\1/p' "$work/dist/homebrew/phc.rb" | paste -d' ' - -)
    }
    check_quietly "homebrew: its hashes are those of the tarballs" formula
    if command -v brew >/dev/null; then check_quietly "homebrew: style" brew style "$work/dist/homebrew/phc.rb"
    else not_tried "homebrew: brew is missing"; fi
fi
summary() { curl -fsS "http://127.0.0.1:$SINK_PORT/_summary" | tee "$work/summary" && grep -q '"violations":{}' "$work/summary"; }
check_quietly "the sink of the tarball saw no rule broken" summary
stop_sink
echo "packages for C: $passed passed, $failed failed, $left_out not tried"
[ "$failed" -eq 0 ]
