#!/usr/bin/env bash
# tags.sh [OPTION…] [KIND…]: makes the tags of a release from dist/VERSION (`make dist`), in this repository. The
# libraries are only in the commits of these tags, so that the branches stay small. KINDs, by default all:
#
#   release  vVERSION on the commit of the release
#   go       bindings/go/vVERSION on a child of it that adds the archives. `go get` takes the module from this tag
#   php      bindings/php/vVERSION on a commit that has the Composer package and nothing else. Its parent is that of
#            the release before. Packagist wants the package at the top of a repository, so it is pushed to another
#
#   --commit COMMIT    the commit of the release, by default HEAD
#   --dry-run          makes the tags in a temporary clone and fetches the packages from there with go and composer
#   --push REMOTE      pushes the tags of this repository; without it nothing is pushed
#   --push-php REMOTE  pushes the Composer package to its repository, as the branch main and the tag vVERSION
#
# PHC_OUT names another folder for dist/VERSION. Tags are annotated, and signed if git's tag.gpgSign says so.
#
# Fails if a package is missing in dist/VERSION, if the Go module there has other sources than COMMIT, or if a tag is
# there already on another commit.
set -euo pipefail
cd "$(dirname "$0")/../.."
usage() { sed -n '2,/^set/{/^set/d; s/^# \{0,1\}//; p}' "$0"; }

commit=HEAD dry_run=no remote='' php_remote='' kinds=()
while [ $# -gt 0 ]; do
    case $1 in
    --commit) commit=${2:?} && shift ;;
    --dry-run) dry_run=yes ;;
    --push) remote=${2:?} && shift ;;
    --push-php) php_remote=${2:?} && shift ;;
    --help) usage; exit ;;
    release | go | php) kinds+=("$1") ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
[ ${#kinds[@]} -gt 0 ] || kinds=(release go php)
if [ "$dry_run" = yes ] && [ -n "$remote$php_remote" ]; then
    echo "tags.sh: --dry-run pushes nothing; leave out --push" >&2
    exit 2
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
out=$(realpath "${PHC_OUT:-dist/$version}")
module=github.com/PostHog/libphc/bindings/go
home=https://github.com/PostHog/libphc
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
commit=$(git rev-parse --verify "$commit^{commit}")
if [ "$dry_run" = yes ]; then
    git clone -q --no-checkout --shared . "$work/clone"
    export GIT_DIR=$work/clone/.git GIT_WORK_TREE=$work/clone
    export GIT_AUTHOR_NAME=dry-run GIT_AUTHOR_EMAIL=dry-run@example.com
    export GIT_COMMITTER_NAME=dry-run GIT_COMMITTER_EMAIL=dry-run@example.com
    git tag -l "v$version" "bindings/*/v$version" | xargs -r git tag -d >/dev/null # those of an earlier try
fi
# The same release gives the same commits.
GIT_AUTHOR_DATE=$(git log -1 --format=%cI "$commit")
export GIT_AUTHOR_DATE GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE

# add FOLDER PREFIX: adds the files of FOLDER to GIT_INDEX_FILE, below PREFIX.
add() {
    local file blob
    (cd "$1" && find . -type f -printf '%P\n') | while read -r file; do
        blob=$(git hash-object -w --no-filters "$1/$file")
        printf '100644 %s\t%s\n' "$blob" "$2$file"
    done | git update-index --add --index-info
}

# tag NAME COMMIT TEXT: one that is there already is kept if it is on the same commit.
tag() {
    local options=(-a -m "$3") present
    [ "$dry_run" = no ] || options+=(--no-sign)
    present=$(git rev-parse -q --verify "refs/tags/$1^{commit}" || true)
    if [ -n "$present" ] && [ "$present" != "$(git rev-parse "$2")" ]; then
        echo "tags.sh: $1 is there already, on another commit: $present; to make it again: git tag -d $1" >&2
        return 1
    fi
    [ -n "$present" ] || git tag "${options[@]}" "$1" "$2"
    echo "$1 $(git rev-parse "$1^{commit}") $(git ls-tree -r -l "$1" | awk '{ sum += $4 } END { print sum }') bytes of files"
}

# download GOPROXY FOLDER: lets go fetch the module, into a cache of its own; prints what `go mod download` says.
download() {
    (cd "$work" && env -u GIT_DIR -u GIT_WORK_TREE GOPROXY="$1" GOMODCACHE="$2" GONOSUMDB='*' GONOPROXY=none GOWORK=off \
        GOFLAGS=-mod=mod GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$work/clone.insteadOf" \
        GIT_CONFIG_VALUE_0=$home go mod download -json "$module@v$version")
}
field() { sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p"; }

release() { tag "v$version" "$commit" "libphc $version"; }

go_tag() {
    local served folder tree other
    [ -d "$out/go" ] || { echo "tags.sh: there is no $out/go; run make dist" >&2; return 1; }
    served=$(download "file://$out/go" "$work/served") || { echo "$served" >&2; return 1; }
    folder=$(field Dir <<<"$served")
    export GIT_INDEX_FILE=$work/index
    git read-tree "$commit"
    git ls-tree -r --name-only --full-tree "$commit" bindings/go/ | git update-index --force-remove --stdin
    add "$folder" bindings/go/
    tree=$(git write-tree)
    unset GIT_INDEX_FILE
    # Only what a release adds may be different.
    other=$(git diff-tree -r --name-only "$commit" "$tree" |
        grep -vE '^bindings/go/(LICENSE|lib/[a-z0-9_]+/(libphc_(glibc|musl)\.a|THIRD-PARTY-(glibc|musl)\.txt))$' || true)
    if [ -n "$other" ]; then
        echo "tags.sh: the Go module in $out was made from other sources than $commit; run make dist again:" >&2
        echo "$other" >&2
        return 1
    fi
    tag "bindings/go/v$version" "$(git commit-tree "$tree" -p "$commit" -m "go: add the archives of $version")" \
        "libphc for Go, $version"
}

php_tag() {
    local zip=$out/posthog-php-phc-$version.zip top before parent=()
    [ -f "$zip" ] || { echo "tags.sh: there is no $zip; run make dist" >&2; return 1; }
    python3 -m zipfile -e "$zip" "$work/php"
    top=$(find "$work/php" -maxdepth 2 -name composer.json -printf '%h\n')
    [ -d "$top" ] || { echo "tags.sh: $zip has no composer.json" >&2; return 1; }
    before=$(git tag -l 'bindings/php/v*' --sort=-v:refname | grep -vx "bindings/php/v$version" | head -1 || true)
    [ -z "$before" ] || parent=(-p "$before^{commit}")
    export GIT_INDEX_FILE=$work/php-index
    add "$top" ''
    tag "bindings/php/v$version" \
        "$(git commit-tree "$(git write-tree)" "${parent[@]}" -m "posthog-php-phc $version")" "libphc for PHP, $version"
    unset GIT_INDEX_FILE
}

# What a user gets from the tags.
go_proof() {
    local served direct
    served=$(download "file://$out/go" "$work/served" | field Sum)
    direct=$(download direct "$work/direct") || { echo "$direct" >&2; return 1; }
    direct=$(field Sum <<<"$direct")
    if [ -z "$direct" ] || [ "$direct" != "$served" ]; then
        echo "tags.sh: go gets $direct from the tag, and $served from dist" >&2
        return 1
    fi
    echo "go: the tag and dist have the same module, $direct"
}
php_proof() {
    local name
    command -v composer >/dev/null || { echo "php: not tried, because there is no composer"; return; }
    env -u GIT_DIR -u GIT_WORK_TREE git init -q --bare --initial-branch=main "$work/php-repository"
    git push -q "$work/php-repository" "bindings/php/v$version^{commit}:refs/heads/main" \
        "bindings/php/v$version^{commit}:refs/tags/v$version"
    name=$(git show "bindings/php/v$version:composer.json" | sed -n 's/^ *"name": "\(.*\)",$/\1/p' | head -1)
    mkdir "$work/user"
    echo "{\"repositories\": [{\"type\": \"vcs\", \"url\": \"$work/php-repository\"}, {\"packagist.org\": false}],
        \"require\": {\"$name\": \"$version\"}}" >"$work/user/composer.json"
    if ! env -u GIT_DIR -u GIT_WORK_TREE COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME="$work/composer" composer --working-dir="$work/user" \
        --no-interaction --ignore-platform-reqs install >"$work/said" 2>&1; then
        cat "$work/said" >&2
        return 1
    fi
    echo "php: composer installs $name $version from the tag: $(find "$work/user/vendor/$name" -name '*.so' | wc -l) libraries"
}

for kind in "${kinds[@]}"; do
    case $kind in
    release) release ;;
    go) go_tag ;;
    php) php_tag ;;
    esac
done
if [ "$dry_run" = yes ]; then
    for kind in "${kinds[@]}"; do
        case $kind in
        go) go_proof ;;
        php) php_proof ;;
        esac
    done
    echo "this was a dry run: the tags were in a temporary clone"
    exit
fi

refs=()
for kind in "${kinds[@]}"; do
    case $kind in
    release) refs+=("refs/tags/v$version") ;;
    *) refs+=("refs/tags/bindings/$kind/v$version") ;;
    esac
done
if [ -n "$remote" ]; then
    git push --atomic "$remote" "${refs[@]}"
else
    echo "nothing is pushed; push with: git push --atomic REMOTE ${refs[*]}"
fi
if [ -n "$php_remote" ]; then
    package=$(git rev-parse "bindings/php/v$version^{commit}")
    git push --atomic "$php_remote" "$package:refs/heads/main" "$package:refs/tags/v$version"
fi
