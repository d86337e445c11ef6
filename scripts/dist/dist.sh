#!/usr/bin/env bash
# dist.sh [TARGET…]: makes every package of a release for these targets, in dist/VERSION.
#
# It runs, in this order:
#   toolchain.sh TARGET   installs the compilers for it, into target/tools
#   build.sh TARGET       builds it: an installation in target/dist/TARGET, which can be moved
#   pack.sh TARGET…       makes the packages, from target/dist only
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/dist/targets.sh

read -ra targets <<<"${*:-$dist_default}"
for target in "${targets[@]}"; do dist_name "$target" rust >/dev/null; done
for target in "${targets[@]}"; do
    scripts/dist/toolchain.sh "$target"
    scripts/dist/build.sh "$target"
done
scripts/dist/pack.sh "${targets[@]}"
