#!/usr/bin/env bash
# dist.sh [--build] [TARGET…]: makes every package of a release for these targets, in dist/VERSION.
#
# It runs, in this order:
#   toolchain.sh TARGET   installs the compilers for it, into target/tools
#   build.sh TARGET       builds it: an installation in target/dist/TARGET, which can be moved
#   pack.sh TARGET…       makes the packages, from target/dist only; not with --build
#
# A target that is built in a chroot is left out where chroots are refused, if it was not named: a line that begins with
# NOT RUN says so. The tests of its packages fail then (test.sh). If it was named, the exit code is 77.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/dist/targets.sh

packs=1
[ "${1-}" != --build ] || { packs=0; shift; }
read -ra wanted <<<"${*:-$dist_default}"
for target in "${wanted[@]}"; do dist_name "$target" rust >/dev/null; done
targets=() left_out=()
for target in "${wanted[@]}"; do
    status=0
    scripts/dist/toolchain.sh "$target" || status=$?
    if [ $status -eq 77 ] && [ $# -eq 0 ]; then
        left_out+=("$target")
        continue
    fi
    [ $status -eq 0 ] || exit $status
    scripts/dist/build.sh "$target"
    targets+=("$target")
done
[ $packs = 0 ] || scripts/dist/pack.sh "${targets[@]}"
[ ${#left_out[@]} -eq 0 ] || echo "NOT RUN: there are no packages for ${left_out[*]}"
