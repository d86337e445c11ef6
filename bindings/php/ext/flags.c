/* Phc\Flags: the values of feature flags for one person. It is freed with its object. */
#include "php_phc.h"

#include "zend_exceptions.h"

/* Most events of reads need no more. */
enum { FIRST_SIZE = 2048 };

typedef struct flags {
    const phc_functions *functions;
    phc_flags *native;
    zend_object std;
} flags;

static zend_class_entry *flags_class;
static zend_object_handlers flags_handlers;

static flags *flags_of(zend_object *object) { return (flags *)((char *)object - XtOffsetOf(flags, std)); }

static zend_object *create(zend_class_entry *class) {
    flags *made = zend_object_alloc(sizeof(flags), class);
    zend_object_std_init(&made->std, class);
    made->std.handlers = &flags_handlers;
    return &made->std;
}

static void destroy(zend_object *object) {
    const flags *this = flags_of(object);
    if (this->functions) this->functions->phc_flags_free(this->native);
    zend_object_std_dtor(object);
}

phc_flags **phc_flags_object(zval *object, const phc_functions *functions) {
    object_init_ex(object, flags_class);
    flags *made = flags_of(Z_OBJ_P(object));
    made->functions = functions;
    made->native = NULL;
    return &made->native;
}

/* The snapshot of the object; NULL, with an exception, if Phc\Client::evaluate did not make it. */
static const flags *this_flags(zval *object) {
    const flags *this = flags_of(Z_OBJ_P(object));
    if (this->functions) return this;
    zend_throw_error(NULL, "Only Phc\\Client::evaluate makes Phc\\Flags");
    return NULL;
}

/* For a method whose one argument is the key of a flag. NULL, with an exception, if it has another one. */
static const flags *this_with_key(zend_execute_data *execute_data, const char **key) {
    zend_string *text;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_STR(text)
    ZEND_PARSE_PARAMETERS_END_EX(return NULL);
    *key = ZSTR_VAL(text);
    return this_flags(ZEND_THIS);
}

static size_t write_event(const void *from, const char *key, char *buffer, size_t size) {
    const flags *this = from;
    return this->functions->phc_binding_flags_read(this->native, key, buffer, size);
}

static size_t write_json(const void *from, const char *key, char *buffer, size_t size) {
    const flags *this = from;
    (void)key;
    return this->functions->phc_flags_json(this->native, buffer, size);
}

ZEND_METHOD(Phc_Flags, __construct) { ZEND_PARSE_PARAMETERS_NONE(); }

ZEND_METHOD(Phc_Flags, get) {
    const char *key;
    const flags *this = this_with_key(execute_data, &key);
    if (!this) RETURN_THROWS();
    const char *variant = NULL;
    phc_flag_kind kind = this->functions->phc_flags_get(this->native, key, &variant);
    array_init_size(return_value, 2);
    add_next_index_long(return_value, kind);
    if (variant) add_next_index_string(return_value, variant);
    else add_next_index_null(return_value);
}

ZEND_METHOD(Phc_Flags, event) {
    const char *key;
    const flags *this = this_with_key(execute_data, &key);
    if (!this) RETURN_THROWS();
    /* Most reads have none, and need no memory of PHP. */
    char buffer[FIRST_SIZE];
    const size_t length = write_event(this, key, buffer, sizeof buffer);
    if (length == 0) return;
    if (length < sizeof buffer) RETURN_STRINGL(buffer, length);
    zend_string *event = phc_text(write_event, this, key, length + 1);
    if (event) RETURN_STR(event);
}

ZEND_METHOD(Phc_Flags, payload) {
    const char *key;
    const flags *this = this_with_key(execute_data, &key);
    if (!this) RETURN_THROWS();
    const char *payload = this->functions->phc_flags_payload(this->native, key, NULL);
    if (payload) RETURN_STRING(payload);
}

ZEND_METHOD(Phc_Flags, json) {
    ZEND_PARSE_PARAMETERS_NONE();
    const flags *this = this_flags(ZEND_THIS);
    if (!this) RETURN_THROWS();
    zend_string *text = phc_text(write_json, this, NULL, FIRST_SIZE);
    if (text) RETURN_STR(text);
    RETURN_EMPTY_STRING();
}

ZEND_METHOD(Phc_Flags, only) {
    HashTable *keys;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_ARRAY_HT(keys)
    ZEND_PARSE_PARAMETERS_END();
    const flags *this = this_flags(ZEND_THIS);
    if (!this) RETURN_THROWS();
    const char **texts = safe_emalloc(zend_hash_num_elements(keys), sizeof *texts, sizeof *texts);
    size_t count = 0;
    zval *each;
    ZEND_HASH_FOREACH_VAL(keys, each) {
        ZVAL_DEREF(each);
        if (Z_TYPE_P(each) == IS_STRING) texts[count++] = Z_STRVAL_P(each);
    }
    ZEND_HASH_FOREACH_END();
    phc_flags **copy = phc_flags_object(return_value, this->functions);
    *copy = this->functions->phc_flags_only(this->native, texts, count);
    efree(texts);
}

ZEND_METHOD(Phc_Flags, onlyAccessed) {
    ZEND_PARSE_PARAMETERS_NONE();
    const flags *this = this_flags(ZEND_THIS);
    if (!this) RETURN_THROWS();
    phc_flags **copy = phc_flags_object(return_value, this->functions);
    *copy = this->functions->phc_flags_only_accessed(this->native);
}

ZEND_BEGIN_ARG_INFO_EX(construct_arguments, 0, 0, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(get_arguments, 0, 1, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, key, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(of_key_arguments, 0, 1, IS_STRING, 1)
ZEND_ARG_TYPE_INFO(0, key, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(json_arguments, 0, 0, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(only_arguments, 0, 1, Phc\\Flags, 0)
ZEND_ARG_TYPE_INFO(0, keys, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(only_accessed_arguments, 0, 0, Phc\\Flags, 0)
ZEND_END_ARG_INFO()

static const zend_function_entry flags_methods[] = {
    /* clang-format off */
    ZEND_ME(Phc_Flags, __construct, construct_arguments, ZEND_ACC_PRIVATE)
    ZEND_ME(Phc_Flags, get, get_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Flags, event, of_key_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Flags, payload, of_key_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Flags, json, json_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Flags, only, only_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Flags, onlyAccessed, only_accessed_arguments, ZEND_ACC_PUBLIC)
    /* clang-format on */
    ZEND_FE_END,
};

void phc_flags_startup(void) {
    zend_class_entry class;
    INIT_NS_CLASS_ENTRY(class, "Phc", "Flags", flags_methods);
    flags_class = zend_register_internal_class(&class);
    flags_class->ce_flags |= ZEND_ACC_FINAL | ZEND_ACC_NO_DYNAMIC_PROPERTIES | ZEND_ACC_NOT_SERIALIZABLE;
    flags_class->create_object = create;
    memcpy(&flags_handlers, zend_get_std_object_handlers(), sizeof flags_handlers);
    flags_handlers.offset = XtOffsetOf(flags, std);
    flags_handlers.free_obj = destroy;
    flags_handlers.clone_obj = NULL;
}
