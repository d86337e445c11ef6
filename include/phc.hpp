/*
 * libphc for C++17 and newer: Capture v1 event delivery for PostHog. Header-only, over phc.h. MIT licence.
 *
 *     phc::client client(phc::settings("phc_your_project_key").host("https://eu.i.posthog.com"));
 *     client.capture("user-1", "page viewed", {{"path", "/pricing"}, {"items", 3}});
 *     client.flush(std::chrono::seconds(2));
 *
 * Errors, by one rule: misuse throws, delivery never does.
 *
 * - Misuse is an answer that depends on nothing but the call, and that the same call would get again: a setting that is
 *   not accepted, text that is no event, a call from inside a handler, a client that was moved from, a library that does
 *   not fit this header. It throws phc::error, whose what() says which argument and why. status::is_misuse() is the list.
 * - Everything else is delivery: a full queue, a closed, disabled or opted-out client, an event that before_send
 *   dropped, a time limit that passed, events that were lost. It comes back as a phc::status and never throws.
 * - Compiled without exceptions, or with PHC_CPP_NO_THROW defined before the first include, nothing throws: misuse comes
 *   back as a phc::status too. A client that could not be made tests false, and its error_message() says why.
 *
 * The three ways of compiling are three inline namespaces, so objects compiled in different ways can be linked together.
 *
 * Handlers (on_report, before_send, on_log) may throw: it ends inside the handler, nothing unwinds through C. Threads,
 * fork and memory are as in phc.h: calls on a client are safe from any thread, and settings, an event or a report belong
 * to one thread at a time. No queue, retry or timer is in here; docs/cpp.md is the guide, phc.h the reference.
 */
#ifndef PHC_HPP
#define PHC_HPP

#include "phc/client.hpp"
#include "phc/event.hpp"
#include "phc/json.hpp"
#include "phc/report.hpp"
#include "phc/settings.hpp"
#include "phc/status.hpp"

#endif
