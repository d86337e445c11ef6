#!/usr/bin/env bash
# php-extension.sh [OUT]: builds the extension phc for the `php` of PATH in OUT, by default target/php-ext, where
# OUT/modules/phc.so is the extension. Warnings are errors. It takes phpize (on Debian: php-dev).
#
# It also writes two folders for PHP_INI_SCAN_DIR, with what the installed php.ini has besides:
#   OUT/ini/extension   with the extension, without FFI
#   OUT/ini/ffi         without the extension
#
#   CFLAGS   for another kind of build
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${1:-target/php-ext}"
out=$(cd "${1:-target/php-ext}" && pwd)
command -v phpize >/dev/null || { echo "php-extension.sh: there is no phpize (on Debian: apt install php-dev)" >&2; exit 1; }
for file in bindings/php/ext/*; do
    cmp -s "$file" "$out/${file##*/}" || cp "$file" "$out/"
done
quietly() { "$@" >"$out/build.log" 2>&1 || { tail -40 "$out/build.log" >&2; exit 1; }; }
(
    cd "$out"
    # Another PHP, or other settings of the build, need all of it again.
    php=$(php-config --phpapi --include-dir 2>&1; cksum config.m4)
    if [ ! -f Makefile ] || [ "$php" != "$(cat built-for 2>/dev/null)" ]; then
        quietly phpize
        quietly ./configure
        quietly make clean
        echo "$php" >built-for
    fi
    quietly make CFLAGS="${CFLAGS:--O2 -g} -Werror"
)

rm -rf "$out/ini"
mkdir -p "$out/ini/extension" "$out/ini/ffi"
# A php without such a folder has nothing else to load.
scanned=$(PHP_INI_SCAN_DIR='' php -n -r 'echo PHP_CONFIG_FILE_SCAN_DIR;')
for file in "${scanned:-/nowhere}"/*.ini; do
    [ -f "$file" ] || continue
    grep -qE '^ *(zend_)?extension *= *"?(.*/)?phc' "$file" && continue
    cp "$file" "$out/ini/ffi/"
    grep -qE '^ *(zend_)?extension *= *"?(.*/)?ffi' "$file" || cp "$file" "$out/ini/extension/"
done
echo "extension=$out/modules/phc.so" >"$out/ini/extension/99-phc.ini"
