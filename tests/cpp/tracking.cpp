// Exceptions for error tracking. Also compiled without exceptions and RTTI.
#include "harness.hpp"

#include <stdexcept>

static void an_exception_is_described_step_by_step() {
    phc::client client = test_mode_client();
    phc::exception described("save_error", std::string_view("no space\0left", 13));
    described.frame("save", "save.cpp", 42)
        .frame("main", "", 0, false)
        .level(phc::exception_level::fatal)
        .handled(false)
        .fingerprint("saves")
        .cause("io_error", "disk full")
        .address(nullptr)
        .set("no such fact", "is left out");
    const phc::receipt receipt = client.capture_exception(described, "user-1", {{"slot", 1}});
    CHECK_STATUS(receipt, ok);
    CHECK_EQ(receipt.uuid().size(), 36);
    CHECK_TEXT(
        next_properties(client),
        R"({"slot":1,"$exception_fingerprint":"saves","$exception_level":"fatal","$exception_list":[)"
        R"({"type":"save_error","value":"no space","mechanism":{"type":"generic","handled":false,"exception_id":0},)"
        R"("stacktrace":{"type":"raw","frames":[)"
        R"({"platform":"custom","lang":"c","function":"main","in_app":false,"resolved":true},)"
        R"({"platform":"custom","lang":"cpp","function":"save","filename":"save.cpp","lineno":42,"in_app":true,"resolved":true}]}},)"
        R"({"type":"io_error","value":"disk full",)"
        R"("mechanism":{"type":"chained","handled":false,"exception_id":1,"source":"cause","parent_id":0},)"
        R"("stacktrace":{"type":"raw","frames":[{"platform":"native","instruction_addr":"0x0"}]}}]})");
}

static void without_an_id_it_belongs_to_no_person() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture_exception(phc::exception("error", "message")), ok);
    CHECK_IN(client.next_test_event().value_or(""), R"("process_person_profile":false)");
}

static void a_stack_has_frames() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture_exception(phc::exception("error", "message").stack(), "u"), ok);
    CHECK_IN(next_properties(client), R"("frames":[{"platform":"native","instruction_addr":"0x)");
}

#if PHC_CPP_THROWS && PHC_CPP_HAS_TYPES
namespace game {
struct save_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};
} // namespace game

static void a_caught_exception_has_its_type_and_what_caused_it() {
    phc::client client = test_mode_client();
    try {
        try {
            try {
                throw 7;
            } catch (...) {
                std::throw_with_nested(std::out_of_range("slot 9"));
            }
        } catch (...) {
            std::throw_with_nested(game::save_error("cannot save"));
        }
    } catch (const std::exception &error) {
        CHECK_STATUS(client.capture_exception(error, "user-1"), ok);
    }
    const std::string properties = next_properties(client);
    // The type that std::throw_with_nested makes names the one that was thrown.
    CHECK_IN(properties, "game::save_error");
    CHECK_IN(properties, R"("value":"cannot save")");
    CHECK_IN(properties, "std::out_of_range");
    CHECK_IN(properties, R"("value":"slot 9")");
    CHECK_IN(properties, R"({"type":"unknown","value":"an exception that is not a std::exception")");
    CHECK_STATUS(client.capture_exception(game::save_error("plain")), ok);
    CHECK_IN(next_properties(client), R"({"type":"game::save_error","value":"plain")");
}
#endif

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(an_exception_is_described_step_by_step),
        TEST(without_an_id_it_belongs_to_no_person),
        TEST(a_stack_has_frames),
#if PHC_CPP_THROWS && PHC_CPP_HAS_TYPES
        TEST(a_caught_exception_has_its_type_and_what_caused_it),
#endif
    };
    return RUN_TESTS(tests);
}
