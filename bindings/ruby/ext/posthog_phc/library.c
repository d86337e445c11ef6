#include "library.h"

const library_functions *library;
static library_functions functions;

static VALUE bind(VALUE self, VALUE addresses) {
    (void)self;
    library_functions given;
#define FUNCTION(result, name, arguments)                                                                    \
    given.name = (result(*) arguments)(uintptr_t)NUM2ULL(rb_hash_fetch(addresses, ID2SYM(rb_intern(#name))));
    LIBRARY_FUNCTIONS(FUNCTION)
#undef FUNCTION
    functions = given;
    library = &functions;
    return Qnil;
}

void library_init(VALUE extension) {
    VALUE names = rb_ary_new();
#define FUNCTION(result, name, arguments) rb_ary_push(names, ID2SYM(rb_intern(#name)));
    LIBRARY_FUNCTIONS(FUNCTION)
#undef FUNCTION
    rb_define_const(extension, "FUNCTIONS", rb_ary_freeze(names));
    rb_define_singleton_method(extension, "bind", bind, 1);
}
