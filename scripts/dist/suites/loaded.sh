# shellcheck shell=bash
# The library in the gem or in the Composer package for musl, opened by musl's loader as FFI opens it; PHC_TEST is
# gem-library or composer-library. Debian has neither Ruby nor PHP for musl.
# shellcheck source=scripts/dist/suites/installed.sh
. /phc/suites/installed.sh
mkdir package
case $PHC_TEST in
gem-library)
    curl -fsSLO "$RELEASE/posthog-ruby-phc-$VERSION-$PHC_TARGET.gem"
    tar -xOf posthog-ruby-phc-*.gem data.tar.gz | tar -xz -C package
    library=package/lib/posthog_phc/bundled/$PHC_TARGET/libphc.so
    ;;
composer-library)
    get unzip
    curl -fsSLO "$RELEASE/posthog-php-phc-$VERSION.zip"
    unzip -q posthog-php-phc-*.zip -d package
    library=package/lib/linux-${PHC_TARGET%%-*}-musl/libphc.so
    ;;
esac
# The folder of the tarball has the header, and no library that could be found instead.
rm -r "${HERE:?}/lib"
# shellcheck disable=SC2086 # words
$CC -std=c11 -D_GNU_SOURCE $CFLAGS /phc/suites/loaded.c -o loaded
./loaded "$library" | tee said
grep -q ': ok, 1 delivered$' said
echo "REMARK: $(cat said)"
