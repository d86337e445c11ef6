/*
 * The conformance worker for C++: one client, driven by JSON lines on standard input, each with one line in response.
 * docs/conformance.md describes the protocol. It uses nothing but phc.hpp.
 */
#include <phc.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>

extern "C" {
#include "../c/json.h"
}

namespace {

std::optional<phc::client> client;

/* -- values of the request -- */

std::string_view view(slice of) {
    return of.at == nullptr ? std::string_view() : std::string_view(of.at, of.len);
}

std::optional<std::string> text(slice of) {
    std::size_t length = 0;
    const std::unique_ptr<char, void (*)(void *)> decoded(json_text(of, &length), std::free);
    if (!decoded) return std::nullopt;
    return std::string(decoded.get(), length);
}

std::optional<std::string> text(slice of, const char *member) { return text(json_member(of, member)); }

bool has(slice of, const char *member) { return json_member(of, member).at != nullptr; }

phc::raw_json json(slice of, const char *member) { return phc::raw_json(view(json_member(of, member))); }

template <class Each> void members(slice of, Each each) {
    json_members(
        of, [](slice key, slice value, void *data) { (*static_cast<Each *>(data))(key, value); }, &each);
}

std::chrono::milliseconds time_limit(slice with) {
    const slice value = json_member(with, "timeout_ms");
    return std::chrono::milliseconds(value.at == nullptr ? 0 : std::atoll(value.at));
}

/* -- responses -- */

phc::object unsupported(std::string_view reason) { return phc::object{{"unsupported", reason}}; }

phc::object respond(const phc::status &status) {
    phc::object line{{"status", status.name()}};
    if (!status) line.set("message", status.details());
    return line;
}

phc::object respond(const phc::receipt &receipt) {
    phc::object line = respond(static_cast<const phc::status &>(receipt));
    if (receipt) line.set("uuid", receipt.uuid());
    return line;
}

phc::object respond_result(std::string_view json) {
    return phc::object{{"status", "ok"}, {"result", phc::raw_json(json)}};
}

/* -- the client -- */

void end_client() {
    if (client) client->close(std::chrono::milliseconds::zero());
    client.reset();
}

phc::object init(slice with, std::string_view) {
    end_client();
    phc::settings settings(text(with, "api_key").value_or(""));
    members(json_member(with, "settings"), [&](slice key, slice value) {
        const std::string name = text(key).value_or("");
        if (name.rfind("header.", 0) == 0) settings.header(name.substr(7), text(value).value_or(""));
        else settings.set(name, text(value).value_or(""));
    });
    client.emplace(settings);
    return respond(phc::status());
}

phc::object reset(slice, std::string_view) {
    end_client();
    return respond(phc::status());
}

/* -- captures, in four forms -- */

/* The members of an event, as separate arguments. */
struct parts {
    std::optional<std::string> distinct_id, event, uuid, timestamp;
    slice properties = {nullptr, 0};
    bool incomplete = false; /* a member has a wrong type, occurs twice, or has no argument */
};

parts parts_of(slice with) {
    parts to;
    members(with, [&](slice key, slice value) {
        const std::string name = text(key).value_or("");
        const std::map<std::string, std::optional<std::string> *> texts{{"distinct_id", &to.distinct_id},
                                                                        {"event", &to.event},
                                                                        {"uuid", &to.uuid},
                                                                        {"timestamp", &to.timestamp}};
        const auto found = texts.find(name);
        if (found != texts.end() && !*found->second) {
            *found->second = text(value);
            if (!*found->second) to.incomplete = true;
        } else if (name == "properties" && to.properties.at == nullptr) {
            to.properties = value;
        } else {
            to.incomplete = true;
        }
    });
    if (!to.distinct_id || !to.event) to.incomplete = true;
    return to;
}

/* Passes a value on in the C++ type for it. A number that no type keeps digit by digit stays text. */
template <class Set, class SetObject> void set_typed(slice value, Set set, SetObject set_object) {
    const std::string all(view(value));
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), whole);
    if (all == "null") set(nullptr);
    else if (all == "true" || all == "false") set(all == "true");
    else if (all[0] == '"') set(*text(value));
    else if (all[0] == '{') set_object();
    else if (error == std::errc() && end == all.data() + all.size() && all != "-0") set(whole);
    else set(phc::raw_json(all));
}

template <class Builder> void build(Builder &builder, slice object) {
    members(object, [&](slice key, slice value) {
        const std::string name = text(key).value_or("");
        set_typed(
            value, [&](const auto &of) { builder.set(name, of); },
            [&] { builder.set_object(name, [&](phc::object_writer &inner) { build(inner, value); }); });
    });
}

phc::object capture(slice with, std::string_view form) {
    if (form == "json") return respond(client->capture_json(view(with)));
    const parts to = parts_of(with);
    const bool is_object = to.properties.at == nullptr || *to.properties.at == '{';
    if (to.incomplete) return unsupported("separate arguments and the builder cannot express this event");
    if (form == "builder" || (form == "properties" && is_object && !to.uuid && !to.timestamp)) {
        if (!is_object) return unsupported("the properties of a built event are always an object");
        if (form == "properties") {
            phc::properties properties;
            build(properties, to.properties);
            return respond(client->capture(*to.distinct_id, *to.event, properties));
        }
        phc::event event(*to.distinct_id, *to.event);
        build(event, to.properties);
        if (to.uuid) event.uuid(*to.uuid);
        if (to.timestamp) event.timestamp(*to.timestamp);
        return respond(client->capture(event));
    }
    if (to.uuid || to.timestamp) return unsupported("capture has no argument for a uuid or a timestamp");
    if (form == "properties") return unsupported("phc::properties are always an object");
    if (to.properties.at == nullptr) return respond(client->capture(*to.distinct_id, *to.event));
    return respond(client->capture(*to.distinct_id, *to.event, phc::raw_json(view(to.properties))));
}

phc::object capture_text(slice with, std::string_view form) {
    if (form != "json") return unsupported("only capture_json takes a whole text");
    return respond(client->capture_json(text(with).value_or("")));
}

phc::object capture_hex(slice with, std::string_view form) {
    if (form != "json") return unsupported("only capture_json takes a whole text");
    std::string bytes;
    for (std::size_t i = 1; i + 2 < with.len; i += 2) {
        bytes += static_cast<char>(std::strtol(std::string(with.at + i, 2).c_str(), nullptr, 16));
    }
    return respond(client->capture_json(bytes));
}

/* -- calls about persons, groups and super properties -- */

phc::object identify(slice with, std::string_view) {
    const std::string id = text(with, "distinct_id").value_or("");
    if (has(with, "set_once"))
        return respond(client->identify(id, json(with, "set"), json(with, "set_once")));
    if (has(with, "set")) return respond(client->identify(id, json(with, "set")));
    return respond(client->identify(id));
}

phc::object alias(slice with, std::string_view) {
    return respond(client->alias(text(with, "distinct_id").value_or(""), text(with, "alias").value_or("")));
}

phc::object group_identify(slice with, std::string_view) {
    const std::string type = text(with, "group_type").value_or(""),
                      key = text(with, "group_key").value_or("");
    const std::optional<std::string> id = text(with, "distinct_id");
    if (has(with, "set")) return respond(client->group_identify(type, key, json(with, "set"), id));
    return respond(client->group_identify(type, key, {}, id));
}

phc::object register_property(slice with, std::string_view) {
    return respond(client->register_property(text(with, "key").value_or(""), json(with, "value")));
}

phc::object unregister_property(slice with, std::string_view) {
    return respond(client->unregister_property(text(with).value_or("")));
}

phc::object opt_out(slice, std::string_view) { return respond(client->opt_out()); }
phc::object opt_in(slice, std::string_view) { return respond(client->opt_in()); }

/* -- feature flags -- */

bool is_true(slice of, const char *member) { return view(json_member(of, member)) == "true"; }

phc::flags_query query_of(slice with) {
    phc::flags_query query(text(with, "distinct_id").value_or(""));
    query.flag(text(with, "key").value_or(""));
    if (has(with, "person_properties")) query.person(json(with, "person_properties"));
    const slice all_properties = json_member(with, "group_properties");
    members(json_member(with, "groups"), [&](slice type, slice key) {
        const std::string name = text(type).value_or("");
        const slice properties = json_member(all_properties, name.c_str());
        query.group(name, text(key).value_or(""),
                    phc::raw_json(properties.at == nullptr ? "{}" : view(properties)));
    });
    if (has(with, "disable_geoip")) query.disable_geoip(is_true(with, "disable_geoip"));
    if (has(with, "force_remote")) query.remote_only(is_true(with, "force_remote"));
    return query;
}

phc::object get_feature_flag(slice with, std::string_view) {
    const std::string key = text(with, "key").value_or("");
    const auto limit =
        is_true(with, "only_evaluate_locally") ? std::chrono::milliseconds::zero() : time_limit(with);
    const phc::flags flags = client->evaluate_flags(query_of(with), limit);
    phc::object result{{"locally_evaluated", flags.detail(key).is_local}, {"error", flags.error()}};
    const phc::flag_value value = flags.get(key);
    if (value.kind() == phc::flag_kind::variant) result.set("value", value.variant());
    else if (value.has_value()) result.set("value", value.enabled());
    else result.set("value", nullptr);
    return respond(phc::status()).set("result", result);
}

phc::object reload_definitions(slice with, std::string_view) {
    return respond(client->reload_flags(time_limit(with)));
}

/* -- flush and close -- */

phc::object flush(slice with, std::string_view) {
    const phc::flush_result seen = client->flush(time_limit(with));
    phc::object line = respond(static_cast<const phc::status &>(seen));
    return line.set("result", phc::object{{"settled", seen.settled},
                                          {"delivered", seen.delivered},
                                          {"lost", seen.lost},
                                          {"pending", seen.pending}});
}

phc::object flush_in_parts(slice, std::string_view) {
    return unsupported("phc.hpp has no flush that begins and waits apart");
}

phc::object close_client(slice with, std::string_view) { return respond(client->close(time_limit(with))); }

/* -- counters and reports -- */

phc::object stats(slice, std::string_view) { return respond_result(client->stats_json()); }

phc::object reports(slice, std::string_view) {
    phc::array all;
    while (const auto report = client->poll()) all.add(phc::raw_json(report->json()));
    return respond_result(all.json());
}

/* -- the protocol -- */

phc::object hello(slice, std::string_view) {
    return phc::object{{"sdk_name", "posthog-cpp-phc"},
                       {"sdk_version", PHC_CPP_VERSION},
                       {"forms", phc::array::of("json", "args", "properties", "builder")}};
}

struct call {
    phc::object (*run)(slice with, std::string_view form);
    bool needs_client;
};

const std::map<std::string, call> calls{
    {"hello", {hello, false}},
    {"init", {init, false}},
    {"reset", {reset, false}},
    {"capture", {capture, true}},
    {"capture_text", {capture_text, true}},
    {"capture_hex", {capture_hex, true}},
    {"identify", {identify, true}},
    {"alias", {alias, true}},
    {"group_identify", {group_identify, true}},
    {"register", {register_property, true}},
    {"unregister", {unregister_property, true}},
    {"opt_out", {opt_out, true}},
    {"opt_in", {opt_in, true}},
    {"get_feature_flag", {get_feature_flag, true}},
    {"reload_feature_flag_definitions", {reload_definitions, true}},
    {"flush", {flush, true}},
    {"flush_begin", {flush_in_parts, true}},
    {"flush_wait", {flush_in_parts, true}},
    {"close", {close_client, true}},
    {"stats", {stats, true}},
    {"reports", {reports, true}},
};

phc::object run(slice line) {
    const std::string name = text(line, "do").value_or("");
    const auto found = calls.find(name);
    if (found == calls.end()) return unsupported("the worker has no such call");
    if (found->second.needs_client && !client) {
        return phc::object{{"status", "invalid_argument"},
                           {"message", "there is no client; call init first"}};
    }
    try {
        return found->second.run(json_member(line, "with"), text(line, "form").value_or("json"));
    } catch (const phc::error &error) {
        return phc::object{{"status", error.status().name()}, {"message", error.what()}};
    }
}

} // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);) {
        std::cout << run({line.c_str(), line.size()}).json() << std::endl;
    }
    end_client();
    return 0;
}
