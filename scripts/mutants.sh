#!/usr/bin/env bash
# mutants.sh [NAME…]: proof that the conformance cases can fail. Each patch of
# conformance/mutants puts one deliberate fault into the library; the library is
# built with it and the cases are run until one fails. A patch that does not
# apply or compile is an error, not a catch. Writes conformance/mutants/README.md
# when all are run.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
build=$root/target/mutants
mkdir -p "$build/ship"

cargo build --locked --release -q -p phc-conformance || exit 2
git ls-files -z | grep -zv '^conformance/vectors\|^conformance/scenarios' | xargs -0 cp --parents -t "$tree"
build_library() {
    (cd "$tree" && CARGO_TARGET_DIR=$build cargo rustc --locked -q -p libphc --crate-type cdylib) \
        && cp "$build/debug/libphc.so" "$build/ship/libphc.so" && ln -sf libphc.so "$build/ship/libphc.so.0"
}
cases() { target/release/phc-conformance run --worker "$worker" --fail-fast; }

# Without a fault nothing may fail.
build_library || exit 2
worker=$(PHC_SHIP=$build/ship scripts/workers.sh c) || exit 2
cases >"$tree/out" || { cat "$tree/out"; echo "the cases fail without any fault"; exit 2; }

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd conformance/mutants && ls ./*.patch | sed 's|^\./||; s|\.patch$||')
caught=0 survived=() broken=() rows=()
for name in "${names[@]}"; do
    patch=$root/conformance/mutants/$name.patch
    file=$(sed -n 's|^+++ b/||p' "$patch")
    if ! (cd "$tree" && git apply "$patch"); then
        broken+=("$name (does not apply)")
        continue
    fi
    if ! build_library; then
        broken+=("$name (does not compile)")
    elif cases >"$tree/out" 2>&1; then
        survived+=("$name")
        echo "SURVIVED $name"
    else
        by=$(sed -n 's/^FAILED c: \([^:]*\):.*/\1/p' "$tree/out" | head -1)
        caught=$((caught + 1))
        rows+=("| \`$name\` | $file | $by |")
        echo "caught   $name by $by"
    fi
    cp "$root/$file" "$tree/$file"
done
if [ $# -eq 0 ]; then
    {
        printf '# Deliberate faults\n\n<!-- Made by `make mutants`. -->\n\n'
        printf 'Each patch here is one fault, put into the named file; the cases were run until the first one failed.\n\n'
        printf '| fault | file | caught by (the first of perhaps many) |\n|---|---|---|\n'
        printf '%s\n' "${rows[@]}"
    } >conformance/mutants/README.md
fi
for name in "${survived[@]}"; do echo "FAILED: nothing caught $name"; done
for name in "${broken[@]}"; do echo "FAILED: $name"; done
echo "$caught caught, ${#survived[@]} survived, ${#broken[@]} broken"
[ $((${#survived[@]} + ${#broken[@]})) -eq 0 ]
