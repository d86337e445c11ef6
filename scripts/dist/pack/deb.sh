#!/usr/bin/env bash
# deb.sh: Debian packages, for the targets that have a name there, and a repository of them that apt can use.
#
#   libphc0_VERSION-1_ARCH.deb          the shared library
#   libphc-dev_VERSION-1_ARCH.deb       headers, static library, pkg-config and CMake files, examples
#   phc-tools_VERSION-1_ARCH.deb        phc-sink; phc-cli with man pages and completions
#   libphc0-dbgsym_…, phc-tools-dbgsym_…  debug symbols by build id, where build.sh left some
#   apt/                                the repository: deb [trusted=yes] file:…/apt stable main
#
# dpkg-deb packs what is here; nothing is compiled or run, so any machine packs for any processor. The same input gives
# the same bytes. Where dpkg-deb is missing, it says so and makes nothing. It fails if a platform was not built, if
# a program needs a library of which depends() does not know the package, or if the SONAME has changed.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/dist/pack/common.sh
revision=1
version=$PHC_VERSION-$revision
maintainer='The libphc authors <hey@posthog.com>'
homepage=https://github.com/PostHog/libphc
templates=packaging/debian
if ! command -v dpkg-deb >/dev/null; then
    echo "  no Debian packages: dpkg-deb is missing (apt install dpkg, or brew install dpkg)"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What files need: their NEEDED libraries as packages. glibc by the newest version of a symbol.
depends() { # depends FILE…
    local needed newest packages=()
    while read -r needed; do
        case $needed in
        libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | libutil.so.1 | ld-linux-*.so.*)
            newest=$(objdump -T "$@" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
            packages+=("libc6 (>= ${newest#GLIBC_})")
            ;;
        libgcc_s.so.1) packages+=("libgcc-s1 (>= 3.0)") ;;
        *) echo "deb.sh: $* needs $needed; which package has it must stand in depends()" >&2; return 1 ;;
        esac
    done < <(objdump -p "$@" | sed -n 's/^ *NEEDED *//p')
    printf '%s\n' "${packages[@]}" | sort -u | paste -sd, | sed 's/,/, /g'
}

build_id() { readelf -n "$1" | sed -n 's/^ *Build ID: //p'; }

# debug_file TARGET FILE: where its debug symbols are, seen from the folder by build id; nothing if there are none.
debug_file() {
    local id
    id=$(build_id "$2")
    [ -z "$id" ] || [ ! -f "$dist/$1.debug/.build-id/${id:0:2}/${id:2}.debug" ] || echo "${id:0:2}/${id:2}.debug"
}

control() { # control PACKAGE DEPENDS BUILD_IDS: its paragraph of control.in
    local size
    # As Debian counts: each file in whole KiB, each folder one.
    size=$(find "$work/$1" -path "$work/$1/DEBIAN" -prune -o -type f -printf '%s\n' -o -printf '1\n' |
        awk '{ size += int(($1 + 1023) / 1024) } END { print size }')
    awk -v RS= -v name="Package: $1" 'index($0 "\n", name "\n") == 1' "$templates/control.in" | sed \
        -e "s|@VERSION@|$version|; s|@ARCH@|$arch|; s|@MAINTAINER@|$maintainer|; s|@SIZE@|$size|" \
        -e "s|@DEPENDS@|$2|; s|@HOMEPAGE@|$homepage|; s|@BUILD_IDS@|$3|"
}

changelog() {
    cat <<CHANGELOG
libphc ($version) unstable; urgency=medium

  * Release $PHC_VERSION. The upstream changelog has what is new.

 -- $maintainer  $(date -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG
}

# documentation PACKAGE LICENCES: the files that Debian asks of each package. LICENCES are of what it has linked in.
documentation() {
    local doc=$work/$1/usr/share/doc/$1
    mkdir -p "$doc"
    python3 "$templates/copyright.py" LICENSE "${@:2}" >"$doc/copyright"
    changelog | gzip -9n >"$doc/changelog.Debian.gz"
    gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
    if [ -f "$templates/$1.lintian-overrides" ]; then
        install -D -m 644 "$templates/$1.lintian-overrides" "$work/$1/usr/share/lintian/overrides/$1"
    fi
}

finish() { # finish PACKAGE DEPENDS [BUILD_IDS]: packs $work/PACKAGE
    local out=$PHC_OUT/$1_${version}_$arch.deb
    mkdir -p "$work/$1/DEBIAN"
    (cd "$work/$1" && find usr -type f -print0 | sort -z | xargs -0r md5sum) >"$work/$1/DEBIAN/md5sums"
    control "$1" "$2" "${3-}" >"$work/$1/DEBIAN/control"
    chmod -R u=rwX,go=rX "$work/$1"
    # xz, because dpkg of Debian 11 cannot read zstd, which Ubuntu's dpkg-deb writes.
    dpkg-deb --root-owner-group -Zxz "-z$xz_level" --threads-max=1 --build "$work/$1" "$out" >/dev/null
    packed "$out"
}

library() { # libphc0
    local root=$work/libphc0 lib=usr/lib/$multiarch needs
    mkdir -p "$root/$lib" "$root/DEBIAN"
    cp -P "$stage/$lib"/libphc.so.[0-9]* "$root/$lib"
    chmod 644 "$root/$lib/libphc.so.$PHC_VERSION"
    if [ "$(objdump -p "$root/$lib/libphc.so.$PHC_VERSION" | sed -n 's/^ *SONAME *//p')" != libphc.so.0 ]; then
        echo "deb.sh: the SONAME is not libphc.so.0: rename the package libphc0 here and in $templates" >&2
        return 1
    fi
    documentation libphc0 "$licences/THIRD-PARTY.txt"
    echo "libphc 0 libphc0 (>= $PHC_VERSION)" >"$root/DEBIAN/shlibs"
    echo 'activate-noawait ldconfig' >"$root/DEBIAN/triggers"
    # Each symbol with its version node, and the release from which a program can rely on it.
    {
        echo "libphc.so.0 libphc0 #MINVER#"
        echo "* Build-Depends-Package: libphc-dev"
        objdump -T "$root/$lib/libphc.so.$PHC_VERSION" |
            awk -v since="$PHC_VERSION" '$NF ~ /^phc_/ { print " " $NF "@" $(NF - 1), since
                if (!seen[$(NF - 1)]++) print " " $(NF - 1) "@" $(NF - 1), since }' | sort
    } >"$root/DEBIAN/symbols"
    needs=$(depends "$root/$lib/libphc.so.$PHC_VERSION")
    finish libphc0 "$needs"
    symbols libphc0 "$lib/libphc.so.$PHC_VERSION"
}

development() { # libphc-dev
    local root=$work/libphc-dev lib=usr/lib/$multiarch doc
    mkdir -p "$root/$lib" "$root/usr"
    cp -P "$stage/$lib/libphc.so" "$stage/$lib/libphc.a" "$root/$lib"
    cp -r "$stage/$lib/pkgconfig" "$stage/$lib/cmake" "$root/$lib"
    cp -r "$stage/usr/include" "$root/usr"
    documentation libphc-dev "$licences/THIRD-PARTY.txt"
    doc=$root/usr/share/doc/libphc-dev
    mkdir -p "$doc/examples"
    cp examples/c/quickstart.c examples/cpp/quickstart.cpp "$doc/examples"
    cp README.md docs/cpp.md docs/settings.md docs/callbacks.md "$doc"
    finish libphc-dev ""
}

tools() { # phc-tools
    local root=$work/phc-tools needs page
    local share=$root/usr/share
    install -D -m 755 -t "$root/usr/bin" "$from/bin/phc-sink" "$from/bin/phc-cli"
    mkdir -p "$share/man/man1"
    for page in "$templates/phc-sink.1" "$from"/share/man/man1/phc-cli*.1; do
        gzip -9nc "$page" >"$share/man/man1/${page##*/}.gz"
    done
    install -D -m 644 -t "$share/bash-completion/completions" "$from/share/bash-completion/completions/phc-cli"
    install -D -m 644 -t "$share/zsh/vendor-completions" "$from/share/zsh/site-functions/_phc-cli" # as Debian has it
    install -D -m 644 -t "$share/fish/vendor_completions.d" "$from/share/fish/vendor_completions.d/phc-cli.fish"
    documentation phc-tools "$licences"/THIRD-PARTY-phc-{sink,cli}.txt
    needs=$(depends "$root"/usr/bin/*)
    finish phc-tools "$needs"
    symbols phc-tools usr/bin/phc-sink usr/bin/phc-cli
}

symbols() { # symbols PACKAGE FILE…: PACKAGE-dbgsym
    local file ids=() each
    for each in "${@:2}"; do
        file=$(debug_file "$target" "$work/$1/$each")
        if [ -z "$file" ]; then
            echo "  no $1-dbgsym for $arch: $dist/$target.debug has no debug symbols of $each"
            return
        fi
        install -D -m 644 "$dist/$target.debug/.build-id/$file" "$work/$1-dbgsym/usr/lib/debug/.build-id/$file"
        ids+=("$(build_id "$work/$1/$each")")
    done
    mkdir -p "$work/$1-dbgsym/usr/share/doc"
    ln -s "$1" "$work/$1-dbgsym/usr/share/doc/$1-dbgsym"
    finish "$1-dbgsym" "" "${ids[*]}"
}

# repository: what apt reads, for the packages in $PHC_OUT. They are in pool/ under a second name.
repository() {
    local apt=$PHC_OUT/apt release=dists/stable deb file arches=()
    rm -rf "$apt"
    mkdir -p "$apt/pool"
    for deb in "$PHC_OUT"/*.deb; do ln "$deb" "$apt/pool/"; done
    cd "$apt"
    for arch in amd64 arm64; do
        compgen -G "pool/*_$arch.deb" >/dev/null || continue
        arches+=("$arch")
        mkdir -p "$release/main/binary-$arch"
        for deb in pool/*_"$arch".deb; do
            dpkg-deb -f "$deb"
            printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
        done >"$release/main/binary-$arch/Packages"
        gzip -9nk "$release/main/binary-$arch/Packages"
    done
    {
        printf 'Origin: libphc\nLabel: libphc\nSuite: stable\nCodename: stable\nDate: %s\n' "$(date -uR -d "@$SOURCE_DATE_EPOCH")"
        printf 'Architectures: %s\nComponents: main\nDescription: libphc %s\nSHA256:\n' "${arches[*]}" "$PHC_VERSION"
        (cd "$release" && find main -type f | sort) | while read -r file; do
            printf ' %s %s %s\n' "$(sha256sum "$release/$file" | cut -d' ' -f1)" "$(stat -c %s "$release/$file")" "$file"
        done
    } >"$release/Release"
    echo "  apt: ${arches[*]}"
    cd - >/dev/null
}

made=
for target in $PHC_TARGETS; do
    arch=$(dist_name "$target" deb)
    if [ "$arch" = - ]; then echo "  no Debian packages for $target"; continue; fi
    from=$(built "$target")
    multiarch=$target stage=$work/stage licences=$from/share/doc/libphc
    # Debian's places, which phc.pc then names: these packages are not moved.
    make -s install SHIP="$from/lib" DESTDIR="$stage" PREFIX=/usr LIBDIR="/usr/lib/$multiarch" INCLUDEDIR=/usr/include \
        RELOCATABLE=0 >/dev/null
    library
    development
    tools
    rm -rf "${work:?}"/*
    made=1
done
[ -z "$made" ] || repository
