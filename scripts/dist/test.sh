#!/usr/bin/env bash
# test.sh [SUITE…]: tries the packages in dist/VERSION in clean systems, as their users would (`make dist-test`).
#
# Without arguments those suites of suites.sh run whose platform is proved (targets.sh). Each test has a fresh system
# (chroot.sh), with nothing of libphc and no Rust. It downloads the packages from this machine, installs them, and runs
# a quickstart, all by the commands and programs that docs/install.md shows: a block of the page that begins with
# ```LANGUAGE NAME belongs to the test NAME, or is the file NAME. Then the sink of this machine must have got the event,
# and seen no broken rule. The tests in suites/ are those that the page does not show.
#
# It prints a table, and leaves it in target/dist-test with a log for each test and results.tsv:
#   suite, target, test, result (passed, FAILED, not offered, NOT RUN), seconds, commands of the page, remark
# JOBS=2 tests run at once; TESTS="deb go" runs these only. It exits with 77, with lines that begin with NOT RUN, if a
# test could not run, and with 1 if one failed.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. scripts/dist/targets.sh
. scripts/dist/suites.sh

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
dist=$PWD/dist/$version
page=docs/install.md
out=$PWD/target/dist-test
SINK=$PWD/target/debug/phc-sink
runner=$PWD/target/debug/phc-conformance

jobs=${JOBS:-2}

known=$(awk 'NF { print $1 }' <<<"$dist_suites")
read -ra suites <<<"${*:-$(dist_suites_of "$dist_default")}"
for suite in "${suites[@]}"; do
    grep -qx "$suite" <<<"$known" ||
        { echo "there is no suite $suite; the suites are: $(tr '\n' ' ' <<<"$known")" >&2; exit 2; }
done
[ -d "$dist" ] || { echo "there is no $dist; run \`make dist\` first" >&2; exit 1; }
if [ ! -x "$SINK" ] || [ ! -x "$runner" ]; then make --no-print-directory sink; fi

work=$(mktemp -d) files_pid=
finish() {
    [ -z "$files_pid" ] || kill "$files_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
rm -rf "$out"
mkdir -p "$out"
results=$out/results.tsv
: >"$results"

# What the page has: each file block becomes a file in $work/files; blocks_of TEST prints those of a test.
awk -v work="$work/files" '
    /^```/ && !inside { inside = 1; name = $2 ~ /\./ ? work "/" $2 : ""; next }
    /^```$/ { inside = 0; if (name) close(name); name = ""; next }
    inside && name {
        if (!(name in made)) { made[name] = 1; folder = name; sub(/\/[^\/]*$/, "", folder); system("mkdir -p " folder) }
        print > name
    }' "$page"
blocks_of() { # blocks_of TEST
    awk -v test="$1" '
        /^```sh / && !inside { inside = 1; if (index("," $2 ",", "," test ",")) printing = 1; next }
        /^```/ { inside = !inside; printing = 0; next }
        printing' "$page"
}
[ "$(blocks_of all | sed -n 's/^VERSION=//p')" = "$version" ] ||
    { echo "$page is not about version $version; set VERSION there" >&2; exit 1; }

# The conformance runner with its C library, for systems that have an older one.
mkdir "$work/tools"
ldd "$runner" | grep -o '/[^ ]*' | xargs cp -t "$work/tools" "$runner"
mv "$work"/tools/ld-linux* "$work/tools/ld.so"

start_sink "$work" --quiet
sink=http://127.0.0.1:$SINK_PORT
# The packages, as a release offers them. It ends with this script, even if that is killed.
: >"$work/files.log"
setpriv --pdeathsig TERM python3 -u -m http.server --bind 127.0.0.1 --directory "$dist" 0 >"$work/files.log" 2>&1 9>&- &
files_pid=$!
for _ in $(seq 100); do
    release=$(sed -n 's/.*\(http:[^)]*\)\/).*/\1/p' "$work/files.log")
    [ -n "$release" ] && break
    sleep 0.1
done
[ -n "$release" ] || { cat "$work/files.log" >&2; echo "the server of the packages did not start" >&2; exit 1; }

record() { # record SUITE TARGET TEST RESULT SECONDS COMMANDS REMARK
    local IFS=$'\t'
    echo "$*" >>"$results"
    printf '%-9s %-12s %-11s %4s s  %s\n' "$1" "$3" "$4" "$5" "$7"
}

# A script for the clean system: the blocks of the page for this test, or the file in suites/, behind what both take
# for granted.
# shellcheck disable=SC2016 # the shell in the system expands them
script_of() { # script_of SUITE TARGET TEST [FILE]
    local suite=$1 target=$2 test=$3 file=${4:-}
    echo 'set -eu; cd "$(mktemp -d)"; cp -R /phc/files/. .'
    # Where the system's Go is older than the package needs, as from go.dev. Composer asks no other registry.
    case $test in
    go*) case $suite in
        bookworm | bullseye) echo 'export PATH=$PATH:/usr/local/go/bin GOTOOLCHAIN=local' ;;
        *) echo 'apt-get install -y --no-install-recommends golang-go >/dev/null' ;;
        esac ;;
    composer) echo 'export COLUMNS=300 COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME=/root/composer; mkdir -p /root/composer
        echo "{\"repositories\": {\"packagist.org\": false}}" >/root/composer/config.json' ;;
    esac
    [ -n "$file" ] || echo 'set -x'
    blocks_of all
    echo "RELEASE=$release PHC_TARGET=$target PHC_TEST=$test PHC_SINK=${sink#http://}"
    echo "export POSTHOG_HOST=$sink/t/$suite/$test POSTHOG_API_KEY=phc_install"
    if [ -n "$file" ]; then cat "$file"; else blocks_of "$test"; fi
}

# arrived NAMESPACE: why what the sink got there is wrong; nothing if it is one event and broke no rule.
arrived() {
    local summary
    summary=$(curl -fsS "$sink/t/$1/_summary")
    [[ $summary == *'"accepted":1,'* ]] || { echo "not one event arrived: $summary"; return; }
    [[ $summary == *'"violations":{}'* ]] || { echo "rules were broken: $summary"; return; }
    curl -fsS "$sink/t/$1/_events" | grep -q 'page viewed' || echo "another event arrived"
}

try() { # try SUITE SYSTEM TARGET TEST
    local suite=$1 system=$2 target=$3 test=$4
    local log=$out/$suite-$test.log folder=$work/$suite-$test file=''
    local begun=$SECONDS status=0 commands=- remark='' refusal binds
    case $test in
    c-shared | c-archive) file=scripts/dist/suites/c-tests.sh ;;
    gem-library | composer-library) file=scripts/dist/suites/loaded.sh ;;
    conformance) file=scripts/dist/suites/conformance.sh ;;
    esac
    mkdir "$folder"
    cp -R "$work/files" "$folder"
    # Go takes all sources of a folder.
    case $test in go*) find "$folder/files" -type f ! -name '*.go' -delete ;; esac
    script_of "$suite" "$target" "$test" "$file" >"$folder/commands"
    binds=(--bind "$folder:/phc")
    if [ -n "$file" ]; then
        cp -R "$work/tools" scripts/dist/suites conformance "$folder"
        mkdir "$folder/tests"
        cp -R tests/c abi "$folder/tests"
    else
        commands=$(blocks_of "$test" | grep -c '^[^ ]') || { echo "$page has no commands for $test" >&2; exit 1; }
    fi
    case $test in go*) binds+=(--bind "$(go env GOROOT):/usr/local/go") ;; esac
    refusal=$(awk -v suite="$suite" -v test="$test" \
        '$1 == suite && $2 == test { sub(/^ *[^ ]+ +[^ ]+ +/, ""); print }' <<<"$dist_refusals")
    timeout 1800 scripts/dist/chroot.sh run "${binds[@]}" "$system" bash /phc/commands >"$log" 2>&1 || status=$?
    if [ -n "$file" ]; then
        remark=$(sed -n 's/^REMARK: //p' "$log")
    elif [ $status -eq 0 ]; then
        remark=$(arrived "$suite/$test")
        [ -z "$remark" ] || status=1
    fi
    local seconds=$((SECONDS - begun))
    if [ $status -eq 77 ]; then
        remark=$(grep -m1 '^NOT RUN' "$log")
        record "$suite" "$target" "$test" "NOT RUN" "$seconds" "$commands" "${remark#NOT RUN: }"
    elif [ -n "$refusal" ] && remark=$(grep -o -m1 -e "$refusal" "$log"); then
        record "$suite" "$target" "$test" "not offered" "$seconds" - "the package $remark"
    elif [ $status -eq 0 ] && [ -z "$refusal" ]; then
        record "$suite" "$target" "$test" passed "$seconds" "$commands" "$remark"
    else
        [ $status -ne 0 ] || [ -z "$refusal" ] || remark="it is installed, although it should be refused: $refusal"
        record "$suite" "$target" "$test" FAILED "$seconds" "$commands" "${remark:-it ended with $status}; $log"
    fi
}

tries=()
for wanted in "${suites[@]}"; do
    while read -r suite system target tests; do
        [ "$suite" = "$wanted" ] || continue
        echo "== $suite: $target in a clean $system"
        # So that no test waits for the making of the system.
        status=0
        scripts/dist/chroot.sh make "$system" >"$out/$suite.log" 2>&1 || status=$?
        if [ $status -ne 0 ]; then
            cat "$out/$suite.log"
            result=FAILED
            [ $status -ne 77 ] || result="NOT RUN"
            record "$suite" "$target" all "$result" 0 - "$(sed -n 's/^NOT RUN: //p' "$out/$suite.log")"
            continue
        fi
        for test in $tests; do
            [ -z "${TESTS:-}" ] || [[ " $TESTS " == *" $test "* ]] || continue
            # The sink and the server of the packages are jobs, too.
            while [ "$(jobs -rp | wc -l)" -ge $((jobs + 2)) ]; do wait -n || true; done
            try "$suite" "$system" "$target" "$test" &
            tries+=($!)
        done
    done <<<"$dist_suites"
done
[ ${#tries[@]} -eq 0 ] || wait "${tries[@]}"
stop_sink

# The table, for people.
awk -F'\t' 'BEGIN { print "| suite | platform | test | result | seconds | commands | |\n|---|---|---|---|---|---|---|" }
    { printf "| %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $6, $7 }' "$results" >"$out/table.md"
cat "$out/table.md"
# Why tests failed, at the end: it is the end of a log that is read first.
awk -F'\t' '$4 == "FAILED" && $3 != "all" { print $1 "-" $3 }' "$results" | while read -r failed; do
    echo "== the end of ${out#"$PWD"/}/$failed.log:"
    tail -10 "$out/$failed.log" | cut -c1-200
done
count() { grep -cF "$(printf '\t%s\t' "$1")" "$results" || true; }
passed=$(count passed) failed=$(count FAILED) not_run=$(count "NOT RUN")
echo "$passed passed, $failed failed, $not_run not run; seconds: $(awk -F'\t' '{ all += $5 } END { print all + 0 }' "$results"); logs in ${out#"$PWD"/}"
[ "$failed" -eq 0 ] || exit 1
[ "$not_run" -eq 0 ] || exit 77
