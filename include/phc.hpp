/*
 * libphc for C++17 and newer: Capture v1 event delivery for PostHog. Header-only, over phc.h. MIT licence.
 *
 *     phc::client client(phc::settings("phc_your_project_key").host("https://eu.i.posthog.com"));
 *     client.capture("user-1", "page viewed", {{"path", "/pricing"}, {"items", 3}});
 *     client.flush(std::chrono::seconds(2));
 *
 * The rule for errors: misuse throws, delivery never does.
 *
 * - Misuse is a call that would fail in the same way again: a setting that is not accepted, an event that
 *   cannot be sent, a call that a callback must not make, a client that was moved from, a library that does
 *   not fit this header. It throws phc::error, whose what() names the argument and the reason;
 *   status::is_misuse() has the list. The constructors of settings and client throw whatever the reason,
 *   since there is no object then.
 * - Everything else is delivery: a full queue, a client that is closed, disabled or opted out, an event that
 *   before_send discarded, a time limit that passed, events that were lost. It is returned as a phc::status.
 * - Compiled without exceptions, or with PHC_CPP_NO_THROW defined before the first include, nothing throws:
 *   misuse is returned as a phc::status too. A client that could not be made is false, and its status() and
 *   error_message() say why. Objects that are compiled in different ways can be linked into one program.
 *
 * Threads, fork and ownership are as in phc.h: a client is safe from any thread, and settings, an event or a
 * report belong to one thread at a time. An exception that leaves a callback ends there. docs/cpp.md is the
 * guide.
 */
#ifndef PHC_HPP
#define PHC_HPP

#include "phc/client.hpp"
#include "phc/context.hpp"
#include "phc/event.hpp"
#include "phc/exception.hpp"
#include "phc/flags.hpp"
#include "phc/json.hpp"
#include "phc/report.hpp"
#include "phc/settings.hpp"
#include "phc/stats.hpp"
#include "phc/status.hpp"

#endif
