# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it, in a clean system: installs libphc for PHC_TARGET from RELEASE, as its users do, and
# says how a program in C is compiled with it: CC, CFLAGS, SHARED and ARCHIVE (what links it), the
# ending of its name EXE, and what RUN starts it.
cd "$(mktemp -d)" || exit
get() { apt-get install -y --no-install-recommends curl ca-certificates "$@" >/dev/null; }
unpack() { # unpack ENDING COMMAND…: sets HERE, the folder of the tarball or zip file
    HERE=$PWD/libphc-$VERSION-$PHC_TARGET
    curl -fsSLO "$RELEASE/${HERE##*/}.$1"
    "${@:2}" "${HERE##*/}.$1"
}
RUN='' EXE='' SYSTEM_LIBS='-lpthread -lm -ldl'
case $PHC_TARGET in
*-linux-gnu)
    get gcc libc6-dev pkg-config
    CC=cc ARCH=$(dpkg --print-architecture)
    curl -fsSLO "$RELEASE/libphc0_$VERSION-1_$ARCH.deb" -O "$RELEASE/libphc-dev_$VERSION-1_$ARCH.deb"
    apt-get install -y "./libphc0_$VERSION-1_$ARCH.deb" "./libphc-dev_$VERSION-1_$ARCH.deb" >/dev/null
    CFLAGS=$(pkg-config --cflags phc) SHARED=$(pkg-config --libs phc)
    ARCHIVE="$(pkg-config --variable=libdir phc)/libphc.a $SYSTEM_LIBS"
    ;;
*-linux-musl)
    get gcc musl-tools xz-utils
    unpack tar.xz tar -xf
    CC=musl-gcc CFLAGS=-I$HERE/include SHARED="-L$HERE/lib -lphc -Wl,-rpath,$HERE/lib" ARCHIVE="-static $HERE/lib/libphc.a"
    ;;
*-windows)
    # The compiler that builds for the C library of Windows itself, which libphc needs.
    get gcc-mingw-w64-ucrt64 wine wine64 unzip
    unpack zip unzip -q
    CC=x86_64-w64-mingw32ucrt-gcc CFLAGS="-I$HERE/include -DPHC_DLL" SHARED="$HERE/lib/libphc.dll.a"
    ARCHIVE="$HERE/lib/libphc.a -lws2_32 -lntdll -luserenv -lcrypt32 -lsecur32 -lbcrypt -ladvapi32" EXE=.exe RUN=wine
    export WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=' WINEPATH=$HERE/bin
    wineboot -i >/dev/null 2>&1 # once, and not by several programs at the same time
    ;;
*) echo "installed.sh knows no target $PHC_TARGET" >&2; exit 1 ;;
esac
echo "CC=$CC CFLAGS=$CFLAGS SHARED=$SHARED ARCHIVE=$ARCHIVE"
