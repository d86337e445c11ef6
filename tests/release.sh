#!/usr/bin/env bash
# release.sh [PART…]: the commands of a release do what docs/releasing.md says, in a clone, with keys that are thrown
# away afterwards. Nothing is built for other platforms.
#
#   form      the workflow files; one version, in every place that has it
#   sign      sign.sh: what is changed, added, signed by another key or not signed is refused
#   refuse    release.sh: no key, another version, no section in CHANGELOG.md, changes that are not committed, no signature
#   version   version.sh: a new number is in every package, and a forgotten one is found
#   sbom      sbom.sh: the bill of materials is valid, and one that is not is refused
#   offline   pack/source.sh: twice the same bytes; the library is built from them without a network. Minutes: only
#             if it is named
#
# shellcheck disable=SC2016,SC2094 # single quotes: the inner shell expands them; SHA256SUMS is not in its own list
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ok WHAT COMMAND…, refuses WHAT TEXT COMMAND…: the command succeeds; it fails and says TEXT.
ok() {
    local what=$1
    shift
    if "$@" >"$work/log" 2>&1; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        { echo "FAILED: $what:"; sed 's/^/    /' "$work/log"; } >&2
    fi
}
refuses() {
    local what=$1 text=$2
    shift 2
    if ! "$@" >"$work/log" 2>&1 && grep -qF -- "$text" "$work/log"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        { echo "FAILED: $what should be refused with \"$text\":"; sed 's/^/    /' "$work/log"; } >&2
    fi
}

# A key without a password, as $1.key and $1.pub.
key() { minisign -GfW -p "$1.pub" -s "$1.key" >/dev/null; }

# A folder that looks like dist/VERSION.
release() {
    mkdir -p "$1/go"
    printf 'version: 9.8.7\ncommit: %s\n' "$2" >"$1/BUILDINFO"
    echo library >"$1/libphc-9.8.7.tar.xz"
    echo module >"$1/go/list"
    (cd "$1" && find . -type f ! -name SHA256SUMS -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)
}

# The repository as it is here, changes included, as one commit.
clone() {
    git clone -q --no-tags "$root" "$1"
    (git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -cf - 2>/dev/null) |
        tar -xf - -C "$1"
    git -C "$1" add --all
    git -C "$1" -c user.name=test -c user.email=test@example.com commit -q --allow-empty -m clone
}
commit() { git -C "$1" -c user.name=test -c user.email=test@example.com commit -qam "$2"; }

form_part() {
    ok "the workflow files" yamllint --strict .github .yamllint
    ok "one version everywhere" scripts/dist/version.sh --check
}

sign_part() {
    local folder=$work/signed
    key "$work/ours"
    key "$work/theirs"
    release "$folder" 0123
    refuses "an unsigned release" "is not signed" scripts/dist/sign.sh verify "$folder" "$work/ours.pub"
    refuses "a key that is not there" "there is no key" scripts/dist/sign.sh "$folder" "$work/none" "$work/ours.pub"
    refuses "another key than the public one" "did not sign" scripts/dist/sign.sh "$folder" "$work/theirs.key" "$work/ours.pub"
    ok "signing" scripts/dist/sign.sh "$folder" "$work/ours.key" "$work/ours.pub"
    ok "what SECURITY.md says" bash -c 'cd "$1" && minisign -Vm SHA256SUMS -p "$2" && sha256sum --check --ignore-missing --strict SHA256SUMS' - "$folder" "$work/ours.pub"
    ok "the comment names version and commit" grep -q 'trusted comment: libphc 9.8.7 commit 0123' "$folder/SHA256SUMS.minisig"
    echo other >"$folder/go/list"
    refuses "a changed file" "differ from SHA256SUMS" scripts/dist/sign.sh verify "$folder" "$work/ours.pub"
    echo module >"$folder/go/list"
    echo more >"$folder/go/more"
    refuses "a file without a checksum" "does not list" scripts/dist/sign.sh verify "$folder" "$work/ours.pub"
    rm "$folder/go/more"
    ok "as it was" scripts/dist/sign.sh verify "$folder" "$work/ours.pub"
    sed -i 's/^./x/' "$folder/SHA256SUMS"
    refuses "changed checksums" "did not sign" scripts/dist/sign.sh verify "$folder" "$work/ours.pub"
}

refuse_part() {
    local there=$work/release run
    clone "$there"
    run=$there/scripts/dist/release.sh
    refuses "no key" "a release is signed" "$run" 9.8.7
    key "$work/releaser"
    refuses "no public key" "there is no release.pub" "$run" 9.8.7 "$work/releaser.key"
    cp "$work/releaser.pub" "$there/release.pub"
    git -C "$there" add release.pub
    commit "$there" key
    refuses "another version" "run make version" "$run" 9.8.7 "$work/releaser.key"
    local now
    now=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
    sed -i "s/^## $now.*/## $now, unreleased/" "$there/CHANGELOG.md"
    commit "$there" unreleased >/dev/null || true
    refuses "no date in CHANGELOG.md" "CHANGELOG.md has no line" "$run" "$now" "$work/releaser.key"
    sed -i "s/^## $now.*/## $now, 2030-01-31/" "$there/CHANGELOG.md"
    refuses "changes that are not committed" "not committed" "$run" "$now" "$work/releaser.key"
    commit "$there" release
    git -C "$there" tag "bindings/go/v$now"
    refuses "a tag that is there" "are there already: bindings/go/v$now" "$run" "$now" "$work/releaser.key"
    git -C "$there" tag -d "bindings/go/v$now" >/dev/null
    release "$there/dist/$now" "$(git -C "$there" rev-parse HEAD)"
    refuses "a rehearsal of what is not signed" "is not signed" "$run" --from rehearse "$now" "$work/releaser.key"
    refuses "tags of what is not signed" "is not signed" "$run" --tag --from tag "$now" "$work/releaser.key"
    ok "no tag came of it" test -z "$(git -C "$there" tag)"
    ok "signing it" "$there/scripts/dist/sign.sh" "$there/dist/$now" "$work/releaser.key" "$there/release.pub"
    ok "the end of a dry run" "$run" --from tag "$now" "$work/releaser.key"
    ok "no tag came of that either" test -z "$(git -C "$there" tag)"
    # Packed again at this commit, from libraries of another one.
    printf '\n[x86_64-linux-gnu]\ncommit: 0123\n' >>"$there/dist/$now/BUILDINFO"
    (cd "$there/dist/$now" && sha256sum BUILDINFO go/list libphc-9.8.7.tar.xz >SHA256SUMS)
    ok "signing that" "$there/scripts/dist/sign.sh" "$there/dist/$now" "$work/releaser.key" "$there/release.pub"
    refuses "libraries of another commit" "built from another commit" "$run" --from tag "$now" "$work/releaser.key"
    sed -i '/^.x86_64/,$d' "$there/dist/$now/BUILDINFO"
    (cd "$there/dist/$now" && sha256sum BUILDINFO go/list libphc-9.8.7.tar.xz >SHA256SUMS)
    ok "signing it again" "$there/scripts/dist/sign.sh" "$there/dist/$now" "$work/releaser.key" "$there/release.pub"
    ok "the end of a dry run, again" "$run" --from tag "$now" "$work/releaser.key"
    refuses "a platform without a suite" "are tried nowhere" \
        env PHC_RELEASE_TARGETS=x86_64-macos "$run" --from test "$now" "$work/releaser.key"
    echo more >>"$there/README.md"
    commit "$there" more
    refuses "packages of another commit" "built from another commit" "$run" --tag --from tag "$now" "$work/releaser.key"
}

version_part() {
    # Below target/, where the path is the same each time.
    local there=$root/target/release-test/clone
    rm -rf "$there"
    mkdir -p "${there%/*}"
    clone "$there"
    # With the crates that are built already.
    export CARGO_TARGET_DIR=$root/target
    refuses "no version" usage "$there/scripts/dist/version.sh" 71.5
    ok "a new version" "$there/scripts/dist/version.sh" 71.5.3
    ok "every package has it" bash -c 'cd "$1" && grep -q "PHC_VERSION \"71.5.3\"" include/phc.h bindings/go/phc.h &&
        grep -q "\"71.5.3\"" bindings/go/config.go bindings/ruby/lib/posthog_phc/version.rb &&
        grep -q "71.5.3" bindings/php/src/PostHog.php && grep -A1 "name = \"phc-fuzz\"" Cargo.lock | grep -q 71.5.3' - "$there"
    ok "the lock files fit" bash -c 'cd "$1" && cargo metadata --locked --offline --format-version 1 >/dev/null' - "$there"
    sed -i 's/71\.5\.3/71.5.2/' "$there/bindings/ruby/lib/posthog_phc/version.rb"
    refuses "a package with another version" "version.rb 71.5.2" "$there/scripts/dist/version.sh" --check
    sed -i 's/71\.5\.2/71.5.3/' "$there/bindings/ruby/lib/posthog_phc/version.rb"
    echo "This is 71.5.3." >>"$there/CONTRIBUTING.md"
    refuses "a number that is forgotten" "CONTRIBUTING.md" "$there/scripts/dist/version.sh" --check
    unset CARGO_TARGET_DIR
    rm -rf "$there"
}

sbom_part() {
    # The compilers of two targets, as build.sh notes them; nothing else of a build is looked at.
    local bill=$work/bill.json target
    for target in x86_64-linux-gnu x86_64-windows; do
        echo "rustc: rustc 1.95.0 (59807616e 2026-04-14)" >"$work/$target.buildinfo"
    done
    ok "a valid bill of materials" env PHC_DIST="$work" scripts/dist/sbom.sh "$bill" x86_64-linux-gnu x86_64-windows
    ok "std, libunwind and zstd are in it" bash -c 'grep -q "rust-std@1.95.0" "$1" && grep -q llvm-libunwind "$1" && grep -q "facebook/zstd@" "$1"' - "$bill"
    refuses "a target that was not built" "run scripts/dist/build.sh" \
        env PHC_DIST="$work" scripts/dist/sbom.sh "$work/other.json" aarch64-linux-gnu
    sed -i '0,/"type": "library"/s//"type": "sources"/' "$bill"
    refuses "a kind of component that CycloneDX does not have" "by the schema of CycloneDX" scripts/dist/sbom.sh --check "$bill"
}

offline_part() {
    local there=$work/offline version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
    mkdir -p "$there/first" "$there/second"
    ok "the archive" env PHC_DIRTY=1 PHC_VERSION="$version" PHC_OUT="$there/first" scripts/dist/pack/source.sh
    ok "the archive again" env PHC_DIRTY=1 PHC_VERSION="$version" PHC_OUT="$there/second" scripts/dist/pack/source.sh
    ok "the same bytes" cmp "$there"/{first,second}/libphc-"$version"-src.tar.xz
    tar -xf "$there/first/libphc-$version-src.tar.xz" -C "$there"
    # A cargo that has nothing, in a network namespace that has no network.
    mkdir "$there/cargo"
    ok "the library without a network" env -u CARGO_TARGET_DIR CARGO_HOME="$there/cargo" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" \
        unshare --net bash -c 'cd "$1" && make build' - "$there/libphc-$version"
    ok "it is there" test -s "$there/libphc-$version/target/ship/libphc.so"
}

parts=(form sign refuse version sbom)
[ $# -eq 0 ] || parts=("$@")
for part in "${parts[@]}"; do
    begun=$SECONDS
    "${part}_part"
    echo "$part: $((SECONDS - begun)) s"
done
echo "release: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
