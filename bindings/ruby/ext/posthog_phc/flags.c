/* An evaluation has two halves. The first writes all texts of the query into one buffer, and leaves the call to Ruby,
 * before anything has happened, if there is one that it does not know. The second calls libphc, and nothing of Ruby
 * that may raise: an exception would leave a query behind.
 *
 * The query is what lib/posthog_phc/flags/query.rb makes of the same arguments. */
#include "flags.h"

#include <string.h>

#include "json.h"
#include "library.h"
#include "number.h"

/* PHC_FLAGS_DISABLE_GEOIP and PHC_FLAGS_NO_EVENTS, and the kinds of values. */
enum { DISABLE_GEOIP_OPTION = 2, NO_EVENTS_OPTION = 3 };
enum { KIND_FALSE = 1, KIND_TRUE = 2, KIND_VARIANT = 3 };

/* The keywords of Client#evaluate_flags. */
enum {
    GROUPS,
    PERSON_PROPERTIES,
    GROUP_PROPERTIES,
    ONLY_EVALUATE_LOCALLY,
    DISABLE_GEOIP,
    FLAG_KEYS,
    REMOTE_ONLY,
    DEVICE_ID,
    EVALUATION_CONTEXTS,
    SEND_FEATURE_FLAG_EVENTS,
    TIMEOUT,
    KEYWORDS
};
static const char *const names[KEYWORDS] = {
    "groups",    "person_properties", "group_properties", "only_evaluate_locally", "disable_geoip",
    "flag_keys", "remote_only",       "device_id",        "evaluation_contexts",   "send_feature_flag_events",
    "timeout"};
static VALUE keywords[KEYWORDS];
static VALUE left;
static VALUE snapshot_class;

/* The texts of a query, each with a NUL at its end, in this order. */
typedef struct {
    buffer text;
    size_t person_length;
    bool has_person;
    /* Of each the type, the key, and the properties as JSON, which are empty if there are none. */
    long groups;
    bool has_device;
    long keys;
    long contexts;
    /* Where the first key is. */
    size_t first_key;
    /* -1 if it is not given. */
    int disable_geoip;
    bool has_no_events;
    bool is_local;
} query;

static void query_init(query *made) {
    buffer_init(&made->text);
    made->person_length = made->first_key = 0;
    made->groups = made->keys = made->contexts = 0;
    made->has_person = made->has_device = made->has_no_events = made->is_local = false;
    made->disable_geoip = -1;
}

/* The text of a value as Query.text makes it. */
static bool text(buffer *out, VALUE value) {
    if (RB_FIXNUM_P(value)) {
        number_fixnum(out, RB_FIX2LONG(value));
    } else {
        if (RB_SYMBOL_P(value)) value = rb_sym2str(value);
        if (!is_exactly(value, rb_cString) || !json_is_utf8(value)) return false;
        const char *bytes = RSTRING_PTR(value);
        size_t length = (size_t)RSTRING_LEN(value);
        if (memchr(bytes, '\0', length)) return false;
        buffer_put(out, bytes, length);
        RB_GC_GUARD(value);
    }
    buffer_byte(out, '\0');
    return true;
}

/* An Array of texts, or one text. */
static bool texts(buffer *out, VALUE value, long *count) {
    if (NIL_P(value)) return true;
    if (!is_exactly(value, rb_cArray)) return ++*count && is_exactly(value, rb_cString) && text(out, value);
    for (long at = 0; at < RARRAY_LEN(value); at++, ++*count)
        if (!text(out, RARRAY_AREF(value, at))) return false;
    return true;
}

/* Whether it is a Hash, or nil. */
static bool may_be_hash(VALUE value) { return NIL_P(value) || is_exactly(value, rb_cHash); }

static bool is_empty(VALUE hash) { return NIL_P(hash) || RHASH_SIZE(hash) == 0; }

typedef struct {
    query *into;
    VALUE properties;
    /* The type whose properties are looked for, in the text of the query, and what was found. */
    size_t type;
    VALUE found;
    bool is_written;
} groups;

/* Several keys may have this text: the last one counts, as with transform_keys. */
static int properties_of_group(VALUE key, VALUE value, VALUE argument) {
    groups *all = (groups *)argument;
    if (RB_SYMBOL_P(key)) key = rb_sym2str(key);
    all->is_written = is_exactly(key, rb_cString) && json_is_utf8(key);
    if (!all->is_written) return ST_STOP;
    const char *type = all->into->text.text + all->type;
    size_t length = (size_t)RSTRING_LEN(key);
    if (strlen(type) == length && memcmp(type, RSTRING_PTR(key), length) == 0) all->found = value;
    RB_GC_GUARD(key);
    return ST_CONTINUE;
}

static int group(VALUE type, VALUE key, VALUE argument) {
    groups *all = (groups *)argument;
    buffer *out = &all->into->text;
    if (NIL_P(key)) return ST_CONTINUE;
    all->type = out->length;
    all->is_written = text(out, type) && text(out, key);
    if (!all->is_written) return ST_STOP;
    all->found = Qnil;
    if (!NIL_P(all->properties)) rb_hash_foreach(all->properties, properties_of_group, argument);
    if (!all->is_written) return ST_STOP;
    all->is_written = may_be_hash(all->found) && (is_empty(all->found) || json_value(out, all->found, 0));
    if (!all->is_written) return ST_STOP;
    buffer_byte(out, '\0');
    all->into->groups++;
    return ST_CONTINUE;
}

static bool write_groups(query *into, VALUE given, VALUE properties) {
    if (!may_be_hash(given)) return false;
    if (is_empty(given)) return true;
    if (!may_be_hash(properties)) return false;
    groups all = {into, properties, 0, Qnil, true};
    rb_hash_foreach(given, group, (VALUE)&all);
    return all.is_written;
}

static bool write_person(query *into, VALUE properties) {
    if (!may_be_hash(properties)) return false;
    if (is_empty(properties)) return true;
    size_t start = into->text.length;
    if (!json_value(&into->text, properties, 0)) return false;
    into->has_person = true;
    into->person_length = into->text.length - start;
    buffer_byte(&into->text, '\0');
    return true;
}

typedef struct {
    VALUE values[KEYWORDS];
    bool are_known;
} arguments;

static int keyword(VALUE name, VALUE value, VALUE argument) {
    arguments *all = (arguments *)argument;
    for (int i = 0; i < KEYWORDS; i++) {
        if (name != keywords[i]) continue;
        all->values[i] = value;
        return ST_CONTINUE;
    }
    all->are_known = false;
    return ST_STOP;
}

/* `key` is the one flag that is wanted; with Qundef it is those of flag_keys, or all. */
static bool write_query(query *into, VALUE id, VALUE key, VALUE options) {
    arguments all = {.are_known = true};
    for (int i = 0; i < KEYWORDS; i++) all.values[i] = Qnil;
    if (!is_exactly(options, rb_cHash)) return false;
    rb_hash_foreach(options, keyword, (VALUE)&all);
    const VALUE *given = all.values;
    if (!all.are_known || RTEST(given[REMOTE_ONLY]) || !NIL_P(given[TIMEOUT])) return false;
    into->is_local = RTEST(given[ONLY_EVALUATE_LOCALLY]);
    into->has_no_events = given[SEND_FEATURE_FLAG_EVENTS] == Qfalse;
    into->disable_geoip = NIL_P(given[DISABLE_GEOIP]) ? -1 : RTEST(given[DISABLE_GEOIP]);
    buffer *out = &into->text;
    if (!text(out, id) || !write_person(into, given[PERSON_PROPERTIES])) return false;
    if (!write_groups(into, given[GROUPS], given[GROUP_PROPERTIES])) return false;
    into->has_device = RTEST(given[DEVICE_ID]);
    if (into->has_device && !text(out, given[DEVICE_ID])) return false;
    into->first_key = out->length;
    if (key != Qundef) {
        into->keys = 1;
        if (!text(out, key)) return false;
    } else if (RTEST(given[FLAG_KEYS]) && !texts(out, given[FLAG_KEYS], &into->keys)) {
        return false;
    }
    return texts(out, given[EVALUATION_CONTEXTS], &into->contexts);
}

/* The text at a place, which moves on to the next one. */
static const char *next(const char **at) {
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

/* Whether libphc has accepted all of it. */
static bool fill(void *native, const query *from, const char *at) {
    bool is_ok = native != NULL;
    if (from->has_person) {
        is_ok &= library->phc_flags_query_set_person_json(native, at, from->person_length) == PHC_OK;
        at += from->person_length + 1;
    }
    for (long i = 0; i < from->groups; i++) {
        const char *type = next(&at), *key = next(&at), *json = next(&at);
        is_ok &= library->phc_flags_query_set_group(native, type, key, *json ? json : NULL) == PHC_OK;
    }
    if (from->has_device) is_ok &= library->phc_flags_query_set_device_id(native, next(&at)) == PHC_OK;
    for (long i = 0; i < from->keys; i++)
        is_ok &= library->phc_flags_query_add_key(native, next(&at)) == PHC_OK;
    for (long i = 0; i < from->contexts; i++)
        is_ok &= library->phc_flags_query_add_context(native, next(&at)) == PHC_OK;
    if (from->disable_geoip >= 0)
        is_ok &=
            library->phc_flags_query_set_option(native, DISABLE_GEOIP_OPTION, from->disable_geoip) == PHC_OK;
    if (from->has_no_events)
        is_ok &= library->phc_flags_query_set_option(native, NO_EVENTS_OPTION, 1) == PHC_OK;
    return is_ok;
}

/* The values of the flags; NULL if the call is left to Ruby: to ask the server, or to say what is wrong. */
static void *evaluate_here(const void *client, const query *from, bool asks) {
    const char *at = from->text.text;
    void *native = library->phc_flags_query_new(next(&at)), *flags = NULL;
    int32_t status = PHC_OK;
    if (fill(native, from, at)) status = library->phc_flags_evaluate(client, native, 0, &flags);
    library->phc_flags_query_free(native);
    if (status != PHC_WOULD_WAIT || !asks || from->is_local) return flags;
    library->phc_flags_free(flags);
    return NULL;
}

/* As above, from the arguments of a call. */
static void *flags_of(VALUE client, VALUE id, VALUE key, VALUE options, VALUE asks, query *wanted) {
    const void *address = (const void *)(uintptr_t)NUM2ULL(client);
    bool is_written = library && write_query(wanted, id, key, options);
    return is_written ? evaluate_here(address, wanted, RTEST(asks)) : NULL;
}

static VALUE value_of(void *flags, const char *key) {
    const char *variant = NULL;
    switch (library->phc_flags_get(flags, key, &variant)) {
    case KIND_FALSE: return Qfalse;
    case KIND_TRUE: return Qtrue;
    case KIND_VARIANT: return rb_utf8_str_new_cstr(variant);
    default: return Qnil;
    }
}

typedef struct {
    void *flags;
    const char *key;
    bool has_payload;
} reading;

static VALUE read_flag(VALUE argument) {
    const reading *wanted = (const reading *)argument;
    VALUE value = value_of(wanted->flags, wanted->key);
    if (!wanted->has_payload) return value;
    size_t length = 0;
    const char *payload = library->phc_flags_payload(wanted->flags, wanted->key, &length);
    return rb_assoc_new(value, payload ? rb_utf8_str_new(payload, (long)length) : Qnil);
}

static VALUE free_flags(VALUE flags) {
    library->phc_flags_free((void *)flags);
    return Qnil;
}

/* Extension.flag(client, distinct_id, key, options, asks, has_payload): the value of a flag, which is read, and with
 * `has_payload` an Array of value and payload; :left if Ruby has to evaluate it. `asks` says whether the server is
 * asked for a flag that has no value here. */
static VALUE flag(VALUE self, VALUE client, VALUE id, VALUE key, VALUE options, VALUE asks,
                  VALUE has_payload) {
    (void)self;
    query wanted;
    query_init(&wanted);
    void *flags = flags_of(client, id, key, options, asks, &wanted);
    VALUE result = left;
    if (flags) {
        reading one = {flags, wanted.text.text + wanted.first_key, RTEST(has_payload)};
        /* The text of a variant may find no memory. */
        result = rb_ensure(read_flag, (VALUE)&one, free_flags, (VALUE)flags);
    }
    buffer_free(&wanted.text);
    return result;
}

static void snapshot_free(void *flags) {
    if (flags) library->phc_flags_free(flags);
}

static const rb_data_type_t snapshot_type = {
    .wrap_struct_name = "PostHogPhc::Extension::Snapshot",
    .function = {.dfree = snapshot_free},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY,
};

/* Extension.evaluate(client, distinct_id, options, asks): the Snapshot of an evaluation; nil if Ruby has to do it. */
static VALUE evaluate(VALUE self, VALUE client, VALUE id, VALUE options, VALUE asks) {
    (void)self;
    query wanted;
    query_init(&wanted);
    VALUE snapshot = TypedData_Wrap_Struct(snapshot_class, &snapshot_type, NULL);
    void *flags = flags_of(client, id, Qundef, options, asks, &wanted);
    RTYPEDDATA_DATA(snapshot) = flags;
    buffer_free(&wanted.text);
    return flags ? snapshot : Qnil;
}

/* Reads a flag. The key is text that a C string can hold. */
static VALUE snapshot_value(VALUE self, VALUE key) {
    void *flags = rb_check_typeddata(self, &snapshot_type);
    return value_of(flags, StringValueCStr(key));
}

static VALUE snapshot_address(VALUE self) {
    return ULL2NUM((uintptr_t)rb_check_typeddata(self, &snapshot_type));
}

/* Frees it before the collector does. */
static VALUE snapshot_release(VALUE self) {
    void *flags = rb_check_typeddata(self, &snapshot_type);
    RTYPEDDATA_DATA(self) = NULL;
    snapshot_free(flags);
    return Qnil;
}

void flags_init(VALUE extension) {
    for (int i = 0; i < KEYWORDS; i++) keywords[i] = ID2SYM(rb_intern(names[i]));
    left = ID2SYM(rb_intern("left"));
    rb_define_singleton_method(extension, "flag", flag, 6);
    rb_define_singleton_method(extension, "evaluate", evaluate, 4);
    snapshot_class = rb_define_class_under(extension, "Snapshot", rb_cObject);
    rb_undef_alloc_func(snapshot_class);
    rb_define_method(snapshot_class, "value", snapshot_value, 1);
    rb_define_method(snapshot_class, "address", snapshot_address, 0);
    rb_define_method(snapshot_class, "free", snapshot_release, 0);
}
