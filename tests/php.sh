#!/usr/bin/env bash
# php.sh SINK: the PHP binding: its files, its package, its README, its unit
# tests and its tests against the sink.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
package=$PWD/bindings/php
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PHC_LIBRARY=$PWD/target/ship/libphc.so COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME=$work/composer
fail() { echo "FAILED: $*" >&2; exit 1; }

php scripts/php-declarations.php --check
find bindings/php conformance/workers/php tests/php -name '*.php' -print0 | xargs -0 -n1 php -l >"$work/lint" || fail "$(grep -v '^No syntax' "$work/lint")"
[ "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" = "$(sed -n "s/.*const VERSION = '\(.*\)';/\1/p" bindings/php/src/PostHog.php)" ] \
    || fail "PostHog::VERSION is not the version of libphc"
[ "$(cd bindings/php/src && printf '%s\n' [A-Z]*.php | sed 's/\.php//' | sort)" = "$(php -r "preg_match_all(\"/'(\w+)'/\", file_get_contents('$package/preload.php'), \$m); echo implode(\"\n\", \$m[1]);" | sort)" ] \
    || fail "preload.php does not have all classes"

composer validate --strict --no-interaction -q "$package/composer.json" || fail "$(composer validate --strict --no-interaction "$package/composer.json" 2>&1)"

composer archive --no-interaction -q -d "$package" --format=tar --dir "$work" --file archive || fail "composer archive"
tar -tf "$work/archive.tar" >"$work/files"
grep -q '^src/Client.php' "$work/files" || fail "the package's archive has no sources"
! grep -q '^tests/' "$work/files" || fail "the package's archive has tests"

start_sink "$work" --quiet
export PHC_SINK=127.0.0.1:$SINK_PORT

# The package in somebody's project, and the quickstart of its README there.
mkdir "$work/project"
cat >"$work/project/composer.json" <<JSON
{"repositories": [{"packagist.org": false}, {"type": "path", "url": "$package", "options": {"symlink": false, "versions": {"libphc/posthog-php-phc": "0.1.0"}}}],
 "require": {"libphc/posthog-php-phc": "^0.1"}}
JSON
composer install --no-interaction -q -d "$work/project" || fail "composer install"
sed -n '/^```php quickstart/,/^```/p' "$package/README.md" | sed '1d;$d' >"$work/project/quickstart.php"
host=http://$PHC_SINK/quickstart
(cd "$work/project" && POSTHOG_API_KEY=phc_readme POSTHOG_HOST=$host timeout 60 php quickstart.php) || fail "the quickstart of the README"
case $(curl -fsS "$host/_wait?accepted=3&timeout_ms=10000") in
*'"ok":true'*) ;;
*) fail "the quickstart's events did not arrive" ;;
esac
[ "$(curl -fsS "$host/_violations")" = '[]' ] || fail "the quickstart broke a rule"

(cd bindings/php && timeout 300 phpunit --cache-result-file="$work/phpunit" "${@:2}")
stop_sink
echo "php: passed"
