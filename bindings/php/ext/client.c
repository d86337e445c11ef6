/*
 * Phc\Client: a client of libphc.
 *
 * The client is not freed with its object: that would wait for its events. A later request finds it again by name.
 */
#include "php_phc.h"

#include "zend_exceptions.h"

#include "encoder.h"

typedef struct client {
    const phc_functions *functions;
    /* NULL once it is freed: libphc returns a status for NULL. */
    phc_client *native;
    zend_object std;
} client;

static zend_class_entry *client_class;
static zend_object_handlers client_handlers;

static client *client_of(zend_object *object) { return (client *)((char *)object - XtOffsetOf(client, std)); }

static zend_object *create(zend_class_entry *class) {
    client *made = zend_object_alloc(sizeof(client), class);
    zend_object_std_init(&made->std, class);
    made->std.handlers = &client_handlers;
    return &made->std;
}

void phc_client_object(zval *object, const phc_functions *functions, phc_client *native) {
    object_init_ex(object, client_class);
    client *made = client_of(Z_OBJ_P(object));
    made->functions = functions;
    made->native = native;
}

/* The client of the object; NULL, with an exception, if Phc\Library::open did not make it. */
static client *this_client(zval *object) {
    client *this = client_of(Z_OBJ_P(object));
    if (this->functions) return this;
    zend_throw_error(NULL, "Only Phc\\Library::open makes a Phc\\Client");
    return NULL;
}

/* For a method whose one argument is a time limit in milliseconds. NULL, with an exception, if it has another one. */
static const client *this_with_limit(zend_execute_data *execute_data, uint32_t *timeout_ms) {
    zend_long limit;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_LONG(limit)
    ZEND_PARSE_PARAMETERS_END_EX(return NULL);
    *timeout_ms = (uint32_t)limit;
    return this_client(ZEND_THIS);
}

ZEND_METHOD(Phc_Client, __construct) { ZEND_PARSE_PARAMETERS_NONE(); }

static void capture(const client *this, const char *json, size_t length, zval *result) {
    char uuid[PHC_UUID_SIZE] = "";
    phc_status status = this->functions->phc_capture_json(this->native, json, length, uuid);
    if (status == PHC_OK) ZVAL_STRINGL(result, uuid, PHC_UUID_SIZE - 1);
    else ZVAL_LONG(result, status);
}

ZEND_METHOD(Phc_Client, capture) {
    zend_string *json;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_STR(json)
    ZEND_PARSE_PARAMETERS_END();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    capture(this, ZSTR_VAL(json), ZSTR_LEN(json), return_value);
}

ZEND_METHOD(Phc_Client, captureMessage) {
    HashTable *message, *added;
    ZEND_PARSE_PARAMETERS_START(2, 2)
    Z_PARAM_ARRAY_HT(message)
    Z_PARAM_ARRAY_HT(added)
    ZEND_PARSE_PARAMETERS_END();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    smart_str json = {0};
    if (phc_encode(&json, message, added)) capture(this, ZSTR_VAL(json.s), ZSTR_LEN(json.s), return_value);
    smart_str_free(&json);
}

ZEND_METHOD(Phc_Client, encode) {
    HashTable *message, *added;
    ZEND_PARSE_PARAMETERS_START(2, 2)
    Z_PARAM_ARRAY_HT(message)
    Z_PARAM_ARRAY_HT(added)
    ZEND_PARSE_PARAMETERS_END();
    smart_str json = {0};
    if (phc_encode(&json, message, added)) RETURN_STR(smart_str_extract(&json));
    smart_str_free(&json);
}

ZEND_METHOD(Phc_Client, encodeObject) {
    HashTable *members;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_ARRAY_HT(members)
    ZEND_PARSE_PARAMETERS_END();
    smart_str json = {0};
    if (phc_encode_object(&json, members)) RETURN_STR(smart_str_extract(&json));
    smart_str_free(&json);
}

ZEND_METHOD(Phc_Client, countDiscarded) {
    ZEND_PARSE_PARAMETERS_NONE();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    this->functions->phc_binding_count_discarded(this->native);
}

ZEND_METHOD(Phc_Client, flushBegin) {
    ZEND_PARSE_PARAMETERS_NONE();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    uint64_t flush = 0;
    phc_status status = this->functions->phc_flush_begin(this->native, &flush);
    array_init_size(return_value, 2);
    add_next_index_long(return_value, status);
    add_next_index_long(return_value, (zend_long)flush);
}

ZEND_METHOD(Phc_Client, flushWait) {
    zend_long flush, timeout_ms;
    ZEND_PARSE_PARAMETERS_START(2, 2)
    Z_PARAM_LONG(flush)
    Z_PARAM_LONG(timeout_ms)
    ZEND_PARSE_PARAMETERS_END();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    phc_flush_result result = {0};
    phc_status status = this->functions->phc_flush_wait(this->native, (uint64_t)flush, (uint32_t)timeout_ms,
                                                        &result, sizeof result);
    array_init_size(return_value, 5);
    add_next_index_long(return_value, status);
    add_next_index_long(return_value, (zend_long)result.settled);
    add_next_index_long(return_value, (zend_long)result.delivered);
    add_next_index_long(return_value, (zend_long)result.lost);
    add_next_index_long(return_value, (zend_long)result.pending);
}

ZEND_METHOD(Phc_Client, flushEnd) {
    zend_long flush;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_LONG(flush)
    ZEND_PARSE_PARAMETERS_END();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    this->functions->phc_flush_end(this->native, (uint64_t)flush);
}

ZEND_METHOD(Phc_Client, persist) {
    uint32_t timeout_ms;
    const client *this = this_with_limit(execute_data, &timeout_ms);
    if (!this) RETURN_THROWS();
    RETURN_LONG(this->functions->phc_persist(this->native, timeout_ms));
}

ZEND_METHOD(Phc_Client, discardSpool) {
    uint32_t timeout_ms;
    const client *this = this_with_limit(execute_data, &timeout_ms);
    if (!this) RETURN_THROWS();
    uint64_t discarded = 0;
    phc_status status = this->functions->phc_spool_discard(this->native, timeout_ms, &discarded);
    array_init_size(return_value, 2);
    add_next_index_long(return_value, status);
    add_next_index_long(return_value, (zend_long)discarded);
}

/* The text at a place of a list; NULL if there is none. */
static const char *text_at(HashTable *list, zend_ulong index) {
    const zval *found = zend_hash_index_find_deref(list, index);
    return found && Z_TYPE_P(found) == IS_STRING ? Z_STRVAL_P(found) : NULL;
}

/* libphc refuses NULL, and the query stays as it is. */
static void fill(const phc_functions *functions, phc_flags_query *query, HashTable *groups, HashTable *keys,
                 HashTable *options) {
    zend_ulong option;
    zval *each;
    ZEND_HASH_FOREACH_VAL(groups, each) {
        ZVAL_DEREF(each);
        if (Z_TYPE_P(each) != IS_ARRAY) continue;
        HashTable *group = Z_ARRVAL_P(each);
        functions->phc_flags_query_set_group(query, text_at(group, 0), text_at(group, 1), text_at(group, 2));
    }
    ZEND_HASH_FOREACH_END();
    ZEND_HASH_FOREACH_VAL(keys, each) {
        ZVAL_DEREF(each);
        if (Z_TYPE_P(each) == IS_STRING) functions->phc_flags_query_add_key(query, Z_STRVAL_P(each));
    }
    ZEND_HASH_FOREACH_END();
    ZEND_HASH_FOREACH_NUM_KEY_VAL(options, option, each) {
        functions->phc_flags_query_set_option(query, (phc_flags_option)option, (int)zval_get_long(each));
    }
    ZEND_HASH_FOREACH_END();
}

ZEND_METHOD(Phc_Client, evaluate) {
    zend_string *distinct_id, *person;
    HashTable *groups, *keys, *options;
    zend_long timeout_ms;
    ZEND_PARSE_PARAMETERS_START(6, 6)
    Z_PARAM_STR(distinct_id)
    Z_PARAM_STR(person)
    Z_PARAM_ARRAY_HT(groups)
    Z_PARAM_ARRAY_HT(keys)
    Z_PARAM_ARRAY_HT(options)
    Z_PARAM_LONG(timeout_ms)
    ZEND_PARSE_PARAMETERS_END();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    /* First what takes memory of PHP, which leaves a function that meets the memory limit. */
    zval snapshot;
    phc_flags **native = phc_flags_object(&snapshot, this->functions);
    phc_flags_query *query = this->functions->phc_flags_query_new(ZSTR_VAL(distinct_id));
    this->functions->phc_flags_query_set_person_json(query, ZSTR_VAL(person), ZSTR_LEN(person));
    fill(this->functions, query, groups, keys, options);
    phc_status status =
        this->functions->phc_flags_evaluate(this->native, query, (uint32_t)timeout_ms, native);
    this->functions->phc_flags_query_free(query);
    array_init_size(return_value, 2);
    add_next_index_long(return_value, status);
    if (*native) {
        add_next_index_zval(return_value, &snapshot);
    } else {
        zval_ptr_dtor(&snapshot);
        add_next_index_null(return_value);
    }
}

ZEND_METHOD(Phc_Client, flagsReady) {
    uint32_t timeout_ms;
    const client *this = this_with_limit(execute_data, &timeout_ms);
    if (!this) RETURN_THROWS();
    RETURN_LONG(this->functions->phc_flags_ready(this->native, timeout_ms));
}

ZEND_METHOD(Phc_Client, reloadFlags) {
    uint32_t timeout_ms;
    const client *this = this_with_limit(execute_data, &timeout_ms);
    if (!this) RETURN_THROWS();
    RETURN_LONG(this->functions->phc_flags_reload(this->native, timeout_ms));
}

ZEND_METHOD(Phc_Client, setFlagDefinitions) {
    zend_string *json;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_STR(json)
    ZEND_PARSE_PARAMETERS_END();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    RETURN_LONG(this->functions->phc_flags_definitions_set(this->native, ZSTR_VAL(json), ZSTR_LEN(json)));
}

ZEND_METHOD(Phc_Client, close) {
    uint32_t timeout_ms;
    const client *this = this_with_limit(execute_data, &timeout_ms);
    if (!this) RETURN_THROWS();
    RETURN_LONG(this->functions->phc_client_close(this->native, timeout_ms));
}

ZEND_METHOD(Phc_Client, free) {
    ZEND_PARSE_PARAMETERS_NONE();
    client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    phc_client *native = this->native;
    this->native = NULL;
    this->functions->phc_client_free(native);
}

ZEND_METHOD(Phc_Client, nextReport) {
    ZEND_PARSE_PARAMETERS_NONE();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    phc_report *report = this->functions->phc_poll(this->native, 0);
    if (!report) RETURN_NULL();
    const char *json = this->functions->phc_report_json(report);
    if (json) ZVAL_STRING(return_value, json);
    this->functions->phc_report_free(report);
}

zend_string *phc_text(phc_writer write, const void *from, const char *key, size_t size) {
    zend_string *buffer = size ? zend_string_alloc(size, false) : NULL;
    size_t length;
    /* The text may have grown since its length was returned. */
    while ((length = write(from, key, buffer ? ZSTR_VAL(buffer) : NULL, size)) >= size && length > 0) {
        if (buffer) zend_string_efree(buffer);
        size = length + 1;
        buffer = zend_string_alloc(size, false);
    }
    if (length > 0) {
        ZSTR_VAL(buffer)[length] = '\0';
        return zend_string_truncate(buffer, length, false);
    }
    if (buffer) zend_string_efree(buffer);
    return NULL;
}

static size_t write_stats(const void *from, const char *key, char *buffer, size_t size) {
    const client *this = from;
    (void)key;
    return this->functions->phc_stats_json(this->native, buffer, size);
}

static size_t write_test_event(const void *from, const char *key, char *buffer, size_t size) {
    const client *this = from;
    (void)key;
    return this->functions->phc_binding_next_test_event(this->native, buffer, size);
}

ZEND_METHOD(Phc_Client, stats) {
    ZEND_PARSE_PARAMETERS_NONE();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    zend_string *text = phc_text(write_stats, this, NULL, 0);
    if (text) RETURN_STR(text);
}

ZEND_METHOD(Phc_Client, nextTestEvent) {
    ZEND_PARSE_PARAMETERS_NONE();
    const client *this = this_client(ZEND_THIS);
    if (!this) RETURN_THROWS();
    zend_string *text = phc_text(write_test_event, this, NULL, 0);
    if (text) RETURN_STR(text);
}

ZEND_BEGIN_ARG_INFO_EX(construct_arguments, 0, 0, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(capture_arguments, 0, 1, MAY_BE_STRING | MAY_BE_LONG)
ZEND_ARG_TYPE_INFO(0, json, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(message_arguments, 0, 2, MAY_BE_STRING | MAY_BE_LONG | MAY_BE_NULL)
ZEND_ARG_TYPE_INFO(0, message, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, added, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(encode_arguments, 0, 2, IS_STRING, 1)
ZEND_ARG_TYPE_INFO(0, message, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, added, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(encode_object_arguments, 0, 1, IS_STRING, 1)
ZEND_ARG_TYPE_INFO(0, members, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(no_result_arguments, 0, 0, IS_VOID, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(flush_begin_arguments, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(flush_wait_arguments, 0, 2, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, flush, IS_LONG, 0)
ZEND_ARG_TYPE_INFO(0, timeoutMs, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(flush_end_arguments, 0, 1, IS_VOID, 0)
ZEND_ARG_TYPE_INFO(0, flush, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(wait_arguments, 0, 1, IS_LONG, 0)
ZEND_ARG_TYPE_INFO(0, timeoutMs, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(discard_arguments, 0, 1, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, timeoutMs, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(evaluate_arguments, 0, 6, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, distinctId, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, person, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, groups, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, keys, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, options, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, timeoutMs, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(definitions_arguments, 0, 1, IS_LONG, 0)
ZEND_ARG_TYPE_INFO(0, json, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(text_arguments, 0, 0, IS_STRING, 1)
ZEND_END_ARG_INFO()

static const zend_function_entry client_methods[] = {
    /* clang-format off */
    ZEND_ME(Phc_Client, __construct, construct_arguments, ZEND_ACC_PRIVATE)
    ZEND_ME(Phc_Client, capture, capture_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, captureMessage, message_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, encode, encode_arguments, ZEND_ACC_PUBLIC | ZEND_ACC_STATIC)
    ZEND_ME(Phc_Client, encodeObject, encode_object_arguments, ZEND_ACC_PUBLIC | ZEND_ACC_STATIC)
    ZEND_ME(Phc_Client, countDiscarded, no_result_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, flushBegin, flush_begin_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, flushWait, flush_wait_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, flushEnd, flush_end_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, persist, wait_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, discardSpool, discard_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, evaluate, evaluate_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, flagsReady, wait_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, reloadFlags, wait_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, setFlagDefinitions, definitions_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, close, wait_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, free, no_result_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, nextReport, text_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, stats, text_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Client, nextTestEvent, text_arguments, ZEND_ACC_PUBLIC)
    /* clang-format on */
    ZEND_FE_END,
};

void phc_client_startup(void) {
    zend_class_entry class;
    INIT_NS_CLASS_ENTRY(class, "Phc", "Client", client_methods);
    client_class = zend_register_internal_class(&class);
    client_class->ce_flags |= ZEND_ACC_FINAL | ZEND_ACC_NO_DYNAMIC_PROPERTIES | ZEND_ACC_NOT_SERIALIZABLE;
    client_class->create_object = create;
    memcpy(&client_handlers, zend_get_std_object_handlers(), sizeof client_handlers);
    client_handlers.offset = XtOffsetOf(client, std);
    client_handlers.clone_obj = NULL;
}
