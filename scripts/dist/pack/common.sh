# shellcheck shell=bash
# Sourced by the scripts beside it, from the top of the tree: the input of a package, where releases are downloaded
# from, and the time that packages carry. PHC_DIST names another folder than target/dist.
#
# It fails if PHC_VERSION, PHC_TARGETS or PHC_OUT is not set: dist.sh sets them. By hand:
#   PHC_VERSION=X.Y.Z PHC_TARGETS=x86_64-linux-gnu PHC_OUT=$PWD/dist/X.Y.Z scripts/dist/pack/tarball.sh

. scripts/dist/targets.sh
: "${PHC_VERSION:?is not set; dist.sh sets it}" "${PHC_TARGETS:?is not set; dist.sh sets it}"
: "${PHC_OUT:?is not set; dist.sh sets it}"
mkdir -p "$PHC_OUT"

# The folder of this release on the network. Recipes and the documentation take the packages from there.
export PHC_RELEASE_URL=${PHC_RELEASE_URL:-https://github.com/PostHog/libphc/releases/download/v$PHC_VERSION}

# Every file of a package has the time of the commit, so that the same commit gives the same package.
if [ -z "${SOURCE_DATE_EPOCH-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || {
        echo "this tree has no commit: set SOURCE_DATE_EPOCH to the time of the release, in seconds since 1970" >&2
        exit 1
    }
fi
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC

# How hard xz tries, 1 to 9; tests take 1. A release takes 9: the static and the shared library have much in common, and
# are farther apart in a tarball than smaller levels look back.
# shellcheck disable=SC2034 # tarball.sh and deb.sh use it
xz_level=${PHC_XZ_LEVEL:-9}
umask 022

# built TARGET: the folder with what build.sh made.
dist=${PHC_DIST:-target/dist}
built() {
    if [ ! -d "$dist/$1" ]; then
        echo "there is no $dist/$1; run scripts/dist/build.sh $1" >&2
        return 1
    fi
    echo "$dist/$1"
}

# tarball_name TARGET: of the package with everything for one platform.
tarball_name() {
    case $1 in
    *-windows) echo "libphc-$PHC_VERSION-$1.zip" ;;
    *) echo "libphc-$PHC_VERSION-$1.tar.xz" ;;
    esac
}

# zip_up FILE FOLDER [NAME]: the files of a folder as a zip file.
zip_up() {
    command -v python3 >/dev/null || { echo "python3 makes the zip files; install it" >&2; return 1; }
    python3 scripts/dist/pack/zip.py "$@"
    packed "$1"
}

packed() { for file; do printf '  %s  %s bytes\n' "${file#"$PHC_OUT"/}" "$(stat -c %s "$file")"; done; }
