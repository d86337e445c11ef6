# shellcheck shell=bash
# Sourced by test.sh: what is tried in which system.
# shellcheck disable=SC2034 # test.sh uses them

# A suite is a clean system of scripts/dist/chroot.sh, the target whose packages are tried there, and its tests.
#
# suite    system        target             tests
dist_suites='
bookworm   bookworm      x86_64-linux-gnu   deb apt cpp rpath ldconfig static cmake fetchcontent go gem composer conformance
bullseye   bullseye      x86_64-linux-gnu   deb apt cpp rpath ldconfig static cmake fetchcontent go gem composer conformance c-shared c-archive
trixie     trixie        x86_64-linux-gnu   deb apt cpp rpath ldconfig static cmake fetchcontent go gem composer conformance
arm64      trixie-arm64  aarch64-linux-gnu  deb apt cpp static gem composer conformance
arm64-musl trixie-arm64  aarch64-linux-musl musl musl-static gem-library composer-library conformance
musl       trixie        x86_64-linux-musl  musl musl-static go-musl gem-library composer-library conformance
wine       trixie        x86_64-windows     wine wine-static conformance
'

# Where a package is not for a system, its package manager must refuse it with these words: the reason in the table.
#
# suite    test      what the package manager says
dist_refusals='
bullseye   gem       requires Ruby version >= [0-9.]*
bullseye   composer  has a PHP requirement incompatible with your PHP version
'

# dist_suites_of TARGET…: the suites that try the packages of these targets.
dist_suites_of() {
    awk -v targets=" $* " 'NF && index(targets, " " $3 " ") { printf "%s ", $1 }' <<<"$dist_suites"
}
