/* PostHogPhc::Extension: JSON of Ruby values, and a capture straight from the arguments of Client#capture; flags.c has
 * its evaluations of feature flags.
 *
 * All state of a call is on the stack or belongs to the garbage collector, so an exception may leave at any place. No
 * code of the application runs between the call of libphc and the return to Ruby, so an event is captured once. */
#include <stdint.h>

#include "flags.h"
#include "json.h"
#include "library.h"

static VALUE symbol_event;
static VALUE symbol_distinct_id;
static VALUE symbol_properties;

/* Extension.encode(value): the JSON of a value, or nil if the encoder in Ruby has to write it. */
static VALUE encode(VALUE self, VALUE value) {
    (void)self;
    buffer out;
    buffer_init(&out);
    bool is_written = json_value(&out, value, 0);
    VALUE json = is_written ? rb_utf8_str_new(out.text, (long)out.length) : Qnil;
    buffer_free(&out);
    return json;
}

static bool is_given(VALUE text) { return is_exactly(text, rb_cString) && RSTRING_LEN(text) > 0; }

/* The event of a capture of an event, a distinct id and perhaps properties, and no more. */
static bool write_event(buffer *out, VALUE given) {
    if (!is_exactly(given, rb_cHash)) return false;
    VALUE event = rb_hash_lookup2(given, symbol_event, Qundef);
    VALUE id = rb_hash_lookup2(given, symbol_distinct_id, Qundef);
    VALUE properties = rb_hash_lookup2(given, symbol_properties, Qundef);
    bool has_properties = properties != Qundef;
    if (RHASH_SIZE(given) != (has_properties ? 3 : 2) || !is_given(event) || !is_given(id)) return false;
    if (has_properties && !is_exactly(properties, rb_cHash)) return false;
    buffer_literal(out, "{\"event\":");
    if (!json_text(out, event)) return false;
    buffer_literal(out, ",\"distinct_id\":");
    if (!json_text(out, id)) return false;
    buffer_literal(out, ",\"properties\":");
    if (!has_properties) buffer_literal(out, "{}");
    if (has_properties && !json_value(out, properties, 1)) return false;
    buffer_byte(out, '}');
    return true;
}

/* Extension.capture(client, arguments): captures an event with the client at this address. Returns the status, or nil
 * if Ruby has to check the arguments or write the event; nothing is captured then. */
static VALUE capture(VALUE self, VALUE client, VALUE given) {
    (void)self;
    void *address = (void *)(uintptr_t)NUM2ULL(client);
    buffer out;
    buffer_init(&out);
    VALUE status = Qnil;
    if (library && write_event(&out, given)) {
        status = INT2FIX(library->phc_capture_json(address, out.text, out.length, NULL));
    }
    buffer_free(&out);
    return status;
}

RUBY_FUNC_EXPORTED void Init_posthog_phc_ext(void) {
    VALUE module = rb_define_module_under(rb_define_module("PostHogPhc"), "Extension");
    symbol_event = ID2SYM(rb_intern("event"));
    symbol_distinct_id = ID2SYM(rb_intern("distinct_id"));
    symbol_properties = ID2SYM(rb_intern("properties"));
    json_init();
    library_init(module);
    flags_init(module);
    rb_define_singleton_method(module, "encode", encode, 1);
    rb_define_singleton_method(module, "capture", capture, 2);
}
