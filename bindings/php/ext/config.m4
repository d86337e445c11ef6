PHP_ARG_ENABLE([phc],
  [whether to build the extension phc],
  [AS_HELP_STRING([--enable-phc], [Capture PostHog events without FFI])],
  [yes])

if test "$PHP_PHC" != "no"; then
  PHP_NEW_EXTENSION([phc], [phc.c library.c client.c flags.c encoder.c json.c timestamp.c], [$ext_shared],,
    [-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -fvisibility=hidden -DZEND_ENABLE_STATIC_TSRMLS_CACHE=1])
fi
