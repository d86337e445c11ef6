//go:build cgo && (phc_dynamic || (linux && !android && (amd64 || arm64)))

#include "bridge.h"

#include "_cgo_export.h"

static void on_failures(const phc_report *report, void *handle) {
    phcGoFailures((uintptr_t)handle, (phc_report *)report);
}

static void on_deliveries(const phc_report *report, void *handle) {
    phcGoDeliveries((uintptr_t)handle, (phc_report *)report);
}

static void on_log(phc_log_level level, const char *line, void *handle) {
    phcGoLog((uintptr_t)handle, level, (char *)line);
}

static void on_free(void *handle) { phcGoRelease((uintptr_t)handle); }

phc_status bridge_set_error_callback(phc_client *client, uintptr_t handle) {
    return phc_set_error_callback(client, on_failures, (void *)handle, on_free);
}

phc_status bridge_set_delivery_callback(phc_client *client, uintptr_t handle) {
    return phc_set_delivery_callback(client, on_deliveries, (void *)handle, on_free);
}

phc_status bridge_set_log_callback(phc_client *client, uintptr_t handle) {
    return phc_set_log_callback(client, on_log, (void *)handle, on_free);
}
