/*
 * The conformance worker for C++: one client, driven by JSON lines on standard input, each answered by a line, through
 * nothing but phc.hpp. docs/conformance.md has the protocol.
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

/* -- answers -- */

phc::object not_offered(std::string_view why) { return phc::object{{"not_offered", why}}; }

phc::object answer(const phc::status &status) {
    phc::object line{{"status", status.name()}};
    if (!status) line.set("message", status.details());
    return line;
}

phc::object answer(const phc::receipt &receipt) {
    phc::object line = answer(static_cast<const phc::status &>(receipt));
    if (receipt) line.set("uuid", receipt.uuid());
    return line;
}

phc::object result(std::string_view json) {
    return phc::object{{"status", "ok"}, {"result", phc::raw_json(json)}};
}

/* -- a client -- */

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
    return answer(phc::status());
}

phc::object reset(slice, std::string_view) {
    end_client();
    return answer(phc::status());
}

/* -- captures, in four ways -- */

/* What loose arguments and the builder can say of an event. */
struct given {
    std::optional<std::string> distinct_id, event, uuid, timestamp;
    slice properties = {nullptr, 0};
    bool other = false; /* they cannot say all of it */
};

given sorted(slice with) {
    given to;
    members(with, [&](slice key, slice value) {
        const std::string name = text(key).value_or("");
        const std::map<std::string, std::optional<std::string> *> texts{{"distinct_id", &to.distinct_id},
                                                                        {"event", &to.event},
                                                                        {"uuid", &to.uuid},
                                                                        {"timestamp", &to.timestamp}};
        const auto found = texts.find(name);
        if (found != texts.end() && !*found->second) {
            *found->second = text(value);
            if (!*found->second) to.other = true;
        } else if (name == "properties" && to.properties.at == nullptr) {
            to.properties = value;
        } else {
            to.other = true;
        }
    });
    if (!to.distinct_id || !to.event) to.other = true;
    return to;
}

/* A value by the type that C++ has for it; a number that neither of its types holds exactly stays text. */
template <class Set, class Deeper> void typed(slice value, Set set, Deeper deeper) {
    const std::string all(view(value));
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), whole);
    if (all == "null") set(nullptr);
    else if (all == "true" || all == "false") set(all == "true");
    else if (all[0] == '"') set(*text(value));
    else if (all[0] == '{') deeper();
    else if (error == std::errc() && end == all.data() + all.size() && all != "-0") set(whole);
    else set(phc::raw_json(all));
}

template <class Builder> void build(Builder &builder, slice object) {
    members(object, [&](slice key, slice value) {
        const std::string name = text(key).value_or("");
        typed(
            value, [&](const auto &of) { builder.set(name, of); },
            [&] { builder.set_object(name, [&](phc::object_writer &inner) { build(inner, value); }); });
    });
}

phc::object capture(slice with, std::string_view way) {
    if (way == "json") return answer(client->capture_json(view(with)));
    const given to = sorted(with);
    const bool is_object = to.properties.at == nullptr || *to.properties.at == '{';
    if (to.other) return not_offered("loose arguments and the builder cannot say this");
    if (way == "builder" || (way == "properties" && is_object && !to.uuid && !to.timestamp)) {
        if (!is_object) return not_offered("the builder has no properties that are no object");
        if (way == "properties") {
            phc::properties properties;
            build(properties, to.properties);
            return answer(client->capture(*to.distinct_id, *to.event, properties));
        }
        phc::event event(*to.distinct_id, *to.event);
        build(event, to.properties);
        if (to.uuid) event.uuid(*to.uuid);
        if (to.timestamp) event.timestamp(*to.timestamp);
        return answer(client->capture(event));
    }
    if (to.uuid || to.timestamp) return not_offered("loose arguments have no uuid and no timestamp");
    if (way == "properties") return not_offered("phc::properties are an object");
    if (to.properties.at == nullptr) return answer(client->capture(*to.distinct_id, *to.event));
    return answer(client->capture(*to.distinct_id, *to.event, phc::raw_json(view(to.properties))));
}

phc::object capture_text(slice with, std::string_view way) {
    if (way != "json") return not_offered("only capture_json takes a whole text");
    return answer(client->capture_json(text(with).value_or("")));
}

phc::object capture_hex(slice with, std::string_view way) {
    if (way != "json") return not_offered("only capture_json takes a whole text");
    std::string bytes;
    for (std::size_t i = 1; i + 2 < with.len; i += 2) {
        bytes += static_cast<char>(std::strtol(std::string(with.at + i, 2).c_str(), nullptr, 16));
    }
    return answer(client->capture_json(bytes));
}

/* -- the other calls -- */

phc::object identify(slice with, std::string_view) {
    const std::string id = text(with, "distinct_id").value_or("");
    if (has(with, "set_once")) return answer(client->identify(id, json(with, "set"), json(with, "set_once")));
    if (has(with, "set")) return answer(client->identify(id, json(with, "set")));
    return answer(client->identify(id));
}

phc::object alias(slice with, std::string_view) {
    return answer(client->alias(text(with, "distinct_id").value_or(""), text(with, "alias").value_or("")));
}

phc::object group_identify(slice with, std::string_view) {
    const std::string type = text(with, "group_type").value_or(""),
                      key = text(with, "group_key").value_or("");
    const std::optional<std::string> id = text(with, "distinct_id");
    if (has(with, "set")) return answer(client->group_identify(type, key, json(with, "set"), id));
    return answer(client->group_identify(type, key, {}, id));
}

phc::object super_property(slice with, std::string_view) {
    return answer(client->register_property(text(with, "key").value_or(""), json(with, "value")));
}

phc::object no_super_property(slice with, std::string_view) {
    return answer(client->unregister_property(text(with).value_or("")));
}

phc::object opt_out(slice, std::string_view) { return answer(client->opt_out()); }
phc::object opt_in(slice, std::string_view) { return answer(client->opt_in()); }

phc::object flush(slice with, std::string_view) {
    const phc::flush_result seen = client->flush(time_limit(with));
    phc::object line = answer(static_cast<const phc::status &>(seen));
    return line.set("result", phc::object{{"settled", seen.settled},
                                          {"delivered", seen.delivered},
                                          {"lost", seen.lost},
                                          {"pending", seen.pending}});
}

phc::object close_client(slice with, std::string_view) { return answer(client->close(time_limit(with))); }

phc::object stats(slice, std::string_view) { return result(client->stats_json()); }

phc::object reports(slice, std::string_view) {
    phc::array all;
    while (const auto report = client->poll()) all.add(phc::raw_json(report->json()));
    return result(all.json());
}

phc::object hello(slice, std::string_view) {
    return phc::object{{"sdk_name", "posthog-cpp-phc"},
                       {"sdk_version", PHC_CPP_VERSION},
                       {"ways", phc::array::of("json", "args", "properties", "builder")}};
}

struct call {
    phc::object (*run)(slice with, std::string_view way);
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
    {"register", {super_property, true}},
    {"unregister", {no_super_property, true}},
    {"opt_out", {opt_out, true}},
    {"opt_in", {opt_in, true}},
    {"flush", {flush, true}},
    {"close", {close_client, true}},
    {"stats", {stats, true}},
    {"reports", {reports, true}},
};

phc::object run(slice line) {
    const std::string name = text(line, "do").value_or("");
    const auto found = calls.find(name);
    if (found == calls.end()) return not_offered(name.empty() ? "a line without a call" : name);
    if (found->second.needs_client && !client) {
        return phc::object{{"status", "invalid_argument"},
                           {"message", "there is no client; init comes first"}};
    }
    try {
        return found->second.run(json_member(line, "with"), text(line, "way").value_or("json"));
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
