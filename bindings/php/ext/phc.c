/* The module: its setting, and what phpinfo() shows. */
#include "php_phc.h"

#include "ext/standard/info.h"

#if defined(ZTS) && defined(COMPILE_DL_PHC)
ZEND_TSRMLS_CACHE_DEFINE()
#endif

PHP_INI_BEGIN()
/* Only php.ini can set it: a script that could would choose what code is loaded into the process. */
PHP_INI_ENTRY("phc.library", "", PHP_INI_SYSTEM, NULL)
PHP_INI_END()

static PHP_MINIT_FUNCTION(phc) {
    REGISTER_INI_ENTRIES();
    phc_library_startup();
    phc_client_startup();
    phc_flags_startup();
    return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(phc) {
    phc_library_shutdown();
    UNREGISTER_INI_ENTRIES();
    return SUCCESS;
}

static PHP_RINIT_FUNCTION(phc) {
#if defined(ZTS) && defined(COMPILE_DL_PHC)
    ZEND_TSRMLS_CACHE_UPDATE();
#endif
    return SUCCESS;
}

static PHP_MINFO_FUNCTION(phc) {
    char interface[MAX_LENGTH_OF_LONG];
    snprintf(interface, sizeof interface, "%d", PHC_EXT_INTERFACE);
    php_info_print_table_start();
    php_info_print_table_row(2, "PostHog events by libphc", "enabled");
    php_info_print_table_row(2, "Version", PHP_PHC_VERSION);
    php_info_print_table_row(2, "Interface to the package", interface);
    php_info_print_table_end();
    DISPLAY_INI_ENTRIES();
}

zend_module_entry phc_module_entry = {
    STANDARD_MODULE_HEADER, "phc", NULL,           PHP_MINIT(phc),  PHP_MSHUTDOWN(phc),
    PHP_RINIT(phc),         NULL,  PHP_MINFO(phc), PHP_PHC_VERSION, STANDARD_MODULE_PROPERTIES,
};

#ifdef COMPILE_DL_PHC
ZEND_GET_MODULE(phc)
#endif
