/*
 * Phc\Library: libphc, loaded from a file.
 *
 * A library stays loaded until the process ends: its thread sends the events of further requests.
 */
#include "php_phc.h"

#include "SAPI.h"
#include "ext/spl/spl_exceptions.h"
#include "zend_exceptions.h"

#include <dlfcn.h>

typedef struct loaded {
    struct loaded *next;
    phc_functions functions;
    char file[];
} loaded;

typedef struct library {
    const phc_functions *functions;
    zend_object std;
} library;

static zend_class_entry *library_class;
static zend_object_handlers library_handlers;

/* Every library of this process, for all its threads and requests. */
static loaded *libraries;
#ifdef ZTS
static MUTEX_T libraries_lock;
#define LOCK() tsrm_mutex_lock(libraries_lock)
#define UNLOCK() tsrm_mutex_unlock(libraries_lock)
#else
#define LOCK()
#define UNLOCK()
#endif

static library *library_of(zend_object *object) {
    return (library *)((char *)object - XtOffsetOf(library, std));
}

static zend_object *create(zend_class_entry *class) {
    library *made = zend_object_alloc(sizeof(library), class);
    zend_object_std_init(&made->std, class);
    made->std.handlers = &library_handlers;
    return &made->std;
}

/* The functions of the object; NULL, with an exception, if its constructor was not called. */
static const phc_functions *functions_of(zval *object) {
    const phc_functions *functions = library_of(Z_OBJ_P(object))->functions;
    if (!functions) zend_throw_error(NULL, "Phc\\Library is not constructed");
    return functions;
}

/* libphc returns text in each case. Another library with functions of the same names may not. */
static const char *or_empty(const char *text) { return text ? text : ""; }

/*
 * Whether code that calls the constructor may have this file loaded. As for FFI with its default settings, that is
 * code of the command line and preloaded code; and whatever php.ini names.
 */
static bool is_allowed(const char *file) {
    if (strcmp(INI_STR("phc.library"), file) == 0) return true;
    if (strcmp(sapi_module.name, "cli") == 0 || strcmp(sapi_module.name, "phpdbg") == 0) return true;
    const zend_execute_data *caller = EG(current_execute_data)->prev_execute_data;
    return caller && caller->func && (caller->func->common.fn_flags & ZEND_ACC_PRELOADED);
}

/* Resolves all functions. Returns the name of one that is missing, or NULL. */
static const char *resolve(void *handle, phc_functions *functions) {
#define FUNCTION(result, name, arguments)                                                                    \
    functions->name = (result(*) arguments)dlsym(handle, #name);                                             \
    if (!functions->name) return #name;
    PHC_FUNCTIONS(FUNCTION)
#undef FUNCTION
    return NULL;
}

/* Loads a file that was not loaded before. `missing` is the function that it has not; NULL if dlerror() says why. */
static const phc_functions *load(const char *file, const char **missing) {
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return NULL;
    loaded *made = pemalloc(sizeof(loaded) + strlen(file) + 1, true);
    *missing = resolve(handle, &made->functions);
    if (*missing) {
        pefree(made, true);
        dlclose(handle);
        return NULL;
    }
    strcpy(made->file, file);
    made->next = libraries;
    libraries = made;
    return &made->functions;
}

static const phc_functions *find(const char *file, const char **missing) {
    for (const loaded *each = libraries; each; each = each->next)
        if (strcmp(each->file, file) == 0) return &each->functions;
    return load(file, missing);
}

/* Throws what FFI would, with its words. */
ZEND_METHOD(Phc_Library, __construct) {
    zend_string *file;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_PATH_STR(file)
    ZEND_PARSE_PARAMETERS_END();
    const char *path = ZSTR_VAL(file), *missing = NULL;
    if (!is_allowed(path)) {
        zend_throw_exception_ex(spl_ce_RuntimeException, 0, "phc.library does not allow '%s'", path);
        RETURN_THROWS();
    }
    LOCK();
    const phc_functions *functions = find(path, &missing);
    UNLOCK();
    /* Only now: to throw takes memory, and PHP leaves a function that meets the memory limit. */
    if (functions) library_of(Z_OBJ_P(ZEND_THIS))->functions = functions;
    else if (missing)
        zend_throw_exception_ex(spl_ce_RuntimeException, 0, "Failed resolving C function '%s'", missing);
    else zend_throw_exception_ex(spl_ce_RuntimeException, 0, "Failed loading '%s' (%s)", path, dlerror());
}

ZEND_METHOD(Phc_Library, abiVersion) {
    ZEND_PARSE_PARAMETERS_NONE();
    const phc_functions *functions = functions_of(ZEND_THIS);
    if (!functions) RETURN_THROWS();
    RETURN_LONG(functions->phc_abi_version());
}

ZEND_METHOD(Phc_Library, statusName) {
    zend_long status;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_LONG(status)
    ZEND_PARSE_PARAMETERS_END();
    const phc_functions *functions = functions_of(ZEND_THIS);
    if (!functions) RETURN_THROWS();
    RETURN_STRING(or_empty(functions->phc_status_name((phc_status)status)));
}

ZEND_METHOD(Phc_Library, lastError) {
    ZEND_PARSE_PARAMETERS_NONE();
    const phc_functions *functions = functions_of(ZEND_THIS);
    if (!functions) RETURN_THROWS();
    RETURN_STRING(or_empty(functions->phc_last_error()));
}

/* A list of the status, its text, and the setting that it is about, or null. */
static void refusal(zval *list, phc_status status, const char *message, zend_string *setting) {
    array_init_size(list, 3);
    add_next_index_long(list, status);
    add_next_index_string(list, or_empty(message));
    if (setting) add_next_index_str(list, zend_string_copy(setting));
    else add_next_index_null(list);
}

/* Whether a setting was accepted. If not, `result` is the refusal. */
static bool set(const phc_functions *functions, phc_config *config, zend_string *key, zval *value,
                zval *result) {
    ZVAL_DEREF(value);
    if (Z_TYPE_P(value) != IS_STRING) {
        zend_argument_type_error(2, "must have text as values");
        return false;
    }
    phc_status status = functions->phc_config_set(config, ZSTR_VAL(key), Z_STRVAL_P(value));
    if (status != PHC_OK) refusal(result, status, functions->phc_last_error(), key);
    return status == PHC_OK;
}

static bool set_all(const phc_functions *functions, phc_config *config, HashTable *settings, zval *result) {
    zend_ulong index;
    zend_string *name;
    zval *value;
    ZEND_HASH_FOREACH_KEY_VAL(settings, index, name, value) {
        zend_string *key = name ? zend_string_copy(name) : zend_long_to_str((zend_long)index);
        const bool is_set = set(functions, config, key, value, result);
        zend_string_release(key);
        if (!is_set) return false;
    }
    ZEND_HASH_FOREACH_END();
    return true;
}

ZEND_METHOD(Phc_Library, open) {
    zend_string *api_key, *name = NULL;
    HashTable *settings;
    ZEND_PARSE_PARAMETERS_START(3, 3)
    Z_PARAM_STR(api_key)
    Z_PARAM_ARRAY_HT(settings)
    Z_PARAM_STR_OR_NULL(name)
    ZEND_PARSE_PARAMETERS_END();
    const phc_functions *functions = functions_of(ZEND_THIS);
    if (!functions) RETURN_THROWS();

    phc_config *config = functions->phc_config_new(ZSTR_VAL(api_key));
    if (set_all(functions, config, settings, return_value)) {
        phc_status status = PHC_OK;
        phc_client *client = name ? functions->phc_client_open(ZSTR_VAL(name), config, &status)
                                  : functions->phc_client_new(config, &status);
        if (client) phc_client_object(return_value, functions, client);
        else refusal(return_value, status, functions->phc_last_error(), NULL);
    }
    functions->phc_config_free(config);
}

ZEND_BEGIN_ARG_INFO_EX(construct_arguments, 0, 0, 1)
ZEND_ARG_TYPE_INFO(0, file, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(abi_version_arguments, 0, 0, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(status_name_arguments, 0, 1, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, status, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(last_error_arguments, 0, 0, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_TYPE_MASK_EX(open_arguments, 0, 3, Phc\\Client, MAY_BE_ARRAY)
ZEND_ARG_TYPE_INFO(0, apiKey, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, settings, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 1)
ZEND_END_ARG_INFO()

static const zend_function_entry library_methods[] = {
    /* clang-format off */
    ZEND_ME(Phc_Library, __construct, construct_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Library, abiVersion, abi_version_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Library, statusName, status_name_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Library, lastError, last_error_arguments, ZEND_ACC_PUBLIC)
    ZEND_ME(Phc_Library, open, open_arguments, ZEND_ACC_PUBLIC)
    /* clang-format on */
    ZEND_FE_END,
};

void phc_library_startup(void) {
#ifdef ZTS
    libraries_lock = tsrm_mutex_alloc();
#endif
    zend_class_entry class;
    INIT_NS_CLASS_ENTRY(class, "Phc", "Library", library_methods);
    library_class = zend_register_internal_class(&class);
    library_class->ce_flags |= ZEND_ACC_FINAL | ZEND_ACC_NO_DYNAMIC_PROPERTIES | ZEND_ACC_NOT_SERIALIZABLE;
    library_class->create_object = create;
    zend_declare_class_constant_long(library_class, ZEND_STRL("INTERFACE"), PHC_EXT_INTERFACE);
#ifdef __GLIBC__
    zend_declare_class_constant_bool(library_class, ZEND_STRL("IS_MUSL"), false);
#else
    zend_declare_class_constant_bool(library_class, ZEND_STRL("IS_MUSL"), true);
#endif
    memcpy(&library_handlers, zend_get_std_object_handlers(), sizeof library_handlers);
    library_handlers.offset = XtOffsetOf(library, std);
    library_handlers.clone_obj = NULL;
}

void phc_library_shutdown(void) {
    while (libraries) {
        loaded *next = libraries->next;
        pefree(libraries, true);
        libraries = next;
    }
#ifdef ZTS
    tsrm_mutex_free(libraries_lock);
#endif
}
