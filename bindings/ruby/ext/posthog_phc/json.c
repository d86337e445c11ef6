#include "json.h"

#include <ruby/encoding.h>
#include <stdint.h>

#include "number.h"
#include "time_text.h"

/* Encoder::MAX_DEPTH */
#define MAX_DEPTH 100
/* The same byte eight times. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static ID id_compare_by_identity_p;
static int utf8;

typedef struct {
    buffer *out;
    VALUE hash;
    int depth;
    bool is_first;
    bool has_symbols;
    bool has_texts;
    bool is_written;
} members;

void json_init(void) {
    number_init();
    time_text_init();
    id_compare_by_identity_p = rb_intern("compare_by_identity?");
    utf8 = rb_utf8_encindex();
}

static void escaped(buffer *out, unsigned char byte) {
    static const char digits[] = "0123456789abcdef";
    switch (byte) {
    case '"': buffer_literal(out, "\\\""); break;
    case '\\': buffer_literal(out, "\\\\"); break;
    case '\b': buffer_literal(out, "\\b"); break;
    case '\f': buffer_literal(out, "\\f"); break;
    case '\n': buffer_literal(out, "\\n"); break;
    case '\r': buffer_literal(out, "\\r"); break;
    case '\t': buffer_literal(out, "\\t"); break;
    default:
        buffer_literal(out, "\\u00");
        buffer_byte(out, digits[byte >> 4]);
        buffer_byte(out, digits[byte & 15]);
    }
}

/* Whether none of eight bytes has to be escaped. */
static bool are_plain(const char *bytes) {
    uint64_t eight, quote, backslash;
    memcpy(&eight, bytes, sizeof(eight));
    quote = eight ^ EACH('"');
    backslash = eight ^ EACH('\\');
    /* A subtraction sets the highest bit of the first byte that is less than what is subtracted. */
    uint64_t found = ((eight - EACH(' ')) & ~eight) | ((quote - EACH(1)) & ~quote);
    found |= (backslash - EACH(1)) & ~backslash;
    return (found & EACH(0x80)) == 0;
}

static void quoted(buffer *out, const char *bytes, size_t count) {
    size_t start = 0, at = 0;
    buffer_byte(out, '"');
    while (at < count) {
        if (count - at >= sizeof(uint64_t) && are_plain(bytes + at)) {
            at += sizeof(uint64_t);
            continue;
        }
        unsigned char byte = (unsigned char)bytes[at++];
        if (byte >= ' ' && byte != '"' && byte != '\\') continue;
        buffer_put(out, bytes + start, at - 1 - start);
        escaped(out, byte);
        start = at;
    }
    buffer_put(out, bytes + start, count - start);
    buffer_byte(out, '"');
}

bool json_is_utf8(VALUE text) {
    int range = rb_enc_str_coderange(text);
    return range == ENC_CODERANGE_7BIT || (range == ENC_CODERANGE_VALID && rb_enc_get_index(text) == utf8);
}

/* The text of a String or of a Symbol, if its bytes are UTF-8. */
static bool utf8_text(buffer *out, VALUE text) {
    bool is_utf8 = json_is_utf8(text);
    if (is_utf8) quoted(out, RSTRING_PTR(text), (size_t)RSTRING_LEN(text));
    RB_GC_GUARD(text);
    return is_utf8;
}

bool json_text(buffer *out, VALUE text) { return is_exactly(text, rb_cString) && utf8_text(out, text); }

static int member(VALUE key, VALUE value, VALUE argument) {
    members *all = (members *)argument;
    if (all->is_first) {
        all->is_first = false;
    } else {
        buffer_byte(all->out, ',');
    }
    if (RB_SYMBOL_P(key)) {
        all->has_symbols = true;
        all->is_written = utf8_text(all->out, rb_sym2str(key));
    } else {
        all->has_texts = true;
        all->is_written = json_text(all->out, key);
    }
    if (!all->is_written) return ST_STOP;
    buffer_byte(all->out, ':');
    all->is_written = json_value(all->out, value, all->depth);
    return all->is_written ? ST_CONTINUE : ST_STOP;
}

/* Whether a key of text is there as a symbol, too. */
static int twin(VALUE key, VALUE value, VALUE argument) {
    members *all = (members *)argument;
    (void)value;
    if (RB_SYMBOL_P(key)) return ST_CONTINUE;
    VALUE symbol = rb_check_symbol(&key);
    if (NIL_P(symbol) || rb_hash_lookup2(all->hash, symbol, Qundef) == Qundef) return ST_CONTINUE;
    all->is_written = false;
    return ST_STOP;
}

/* Of keys that are the same text only the last value is sent, which the encoder in Ruby sees to. */
static bool hash(buffer *out, VALUE value, int depth) {
    members all = {out, value, depth, true, false, false, true};
    buffer_byte(out, '{');
    rb_hash_foreach(value, member, (VALUE)&all);
    if (all.is_written && all.has_texts) {
        all.is_written = !RTEST(rb_funcallv(value, id_compare_by_identity_p, 0, NULL));
        if (all.is_written && all.has_symbols) rb_hash_foreach(value, twin, (VALUE)&all);
    }
    buffer_byte(out, '}');
    return all.is_written;
}

/* The length is read anew each time: another thread may change the array. */
static bool array(buffer *out, VALUE value, int depth) {
    buffer_byte(out, '[');
    for (long at = 0; at < RARRAY_LEN(value); at++) {
        if (at > 0) buffer_byte(out, ',');
        if (!json_value(out, RARRAY_AREF(value, at), depth)) return false;
    }
    buffer_byte(out, ']');
    return true;
}

static bool object(buffer *out, VALUE value, int depth) {
    VALUE class = RBASIC_CLASS(value);
    if (class == rb_cString) return utf8_text(out, value);
    if (class == rb_cHash || class == rb_cArray) {
        if (depth >= MAX_DEPTH || ruby_stack_check()) return false;
        return class == rb_cHash ? hash(out, value, depth + 1) : array(out, value, depth + 1);
    }
    if (class == rb_cTime) return time_text(out, value);
    if (class == rb_cSymbol) return utf8_text(out, rb_sym2str(value));
    if (class == rb_cFloat) return number_float(out, value);
    return class == rb_cInteger && number_bignum(out, value);
}

bool json_value(buffer *out, VALUE value, int depth) {
    if (!RB_SPECIAL_CONST_P(value)) return object(out, value, depth);
    if (RB_FIXNUM_P(value)) {
        number_fixnum(out, RB_FIX2LONG(value));
    } else if (RB_STATIC_SYM_P(value)) {
        return utf8_text(out, rb_sym2str(value));
    } else if (RB_FLONUM_P(value)) {
        return number_float(out, value);
    } else if (NIL_P(value)) {
        buffer_literal(out, "null");
    } else if (value == Qtrue) {
        buffer_literal(out, "true");
    } else if (value == Qfalse) {
        buffer_literal(out, "false");
    } else {
        return false;
    }
    return true;
}
