// Pending events on disk.
#include "harness.hpp"

#include <stdlib.h>
#include <string>

static void without_a_spool_nothing_is_persisted() {
    phc::client client(test_settings());
    CHECK_STATUS(client.capture("user", "event"), ok);
    CHECK_STATUS(client.persist(10s), spool);
    CHECK(!client.persist(10s).is_misuse());
    const phc::discard_result discarded = client.discard_spool(10s);
    CHECK_STATUS(discarded, spool);
    CHECK_EQ(discarded.discarded, 0);
    const phc::stats stats = client.stats();
    CHECK_EQ(stats.spooled() + stats.kept() + stats.recovered(), 0);
    CHECK_STATUS(client.flush(20s), ok);
}

static bool reaches(const phc::client &client, std::uint64_t (phc::stats::*counter)() const noexcept,
                    std::uint64_t wanted) {
    struct goal {
        const phc::client &client;
        std::uint64_t (phc::stats::*counter)() const noexcept;
        std::uint64_t wanted;
    } at{client, counter, wanted};
    return await(
               [](void *about) -> int {
                   const goal *own = static_cast<const goal *>(about);
                   return (own->client.stats().*own->counter)() >= own->wanted;
               },
               &at) != 0;
}

static void events_are_persisted_discarded_and_kept() {
    char folder[] = "/tmp/phc-cpp-spool-XXXXXX";
    CHECK(mkdtemp(folder) != nullptr);
    script(R"({"then":{"status":503}})");
    const auto spooling = [&] {
        return phc::client(test_settings().spool_dir(folder).shutdown_timeout(0ms));
    };
    {
        phc::client client = spooling();
        CHECK_STATUS(client.capture("user", "first"), ok);
        CHECK_STATUS(client.capture("user", "second"), ok);
        CHECK_STATUS(client.persist(20s), ok);
        CHECK_EQ(client.stats().spooled(), 2);
        const phc::discard_result discarded = client.discard_spool(20s);
        CHECK_STATUS(discarded, ok);
        CHECK_EQ(discarded.discarded, 2);
        CHECK_EQ(client.stats().lost(phc::loss::discarded), 2);
        CHECK_EQ(client.stats().spooled(), 0);
        CHECK_STATUS(client.capture("user", "third"), ok);
        client.close(0ms);
        const phc::stats stats = client.stats();
        CHECK_EQ(stats.kept(), 1);
        CHECK_EQ(stats.captured() + stats.recovered(),
                 stats.delivered() + stats.lost() + stats.kept() + stats.pending_events());
    }
    script("{}");
    phc::client later = spooling();
    CHECK_STATUS(later.capture("user", "fourth"), ok);
    CHECK(reaches(later, &phc::stats::recovered, 1));
    CHECK_STATUS(later.flush(20s), ok);
    // A flush does not wait for what others have left.
    CHECK(reaches(later, &phc::stats::delivered, 2));
    CHECK_EQ(later.stats().delivered(), 2);
    CHECK_IN(sink("_events?accepted=1"), "third");
    CHECK_STATUS(later.close(20s), ok);
    CHECK_EQ(std::system((std::string("rm -r ") + folder).c_str()), 0);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(without_a_spool_nothing_is_persisted),
        TEST(events_are_persisted_discarded_and_kept),
    };
    return RUN_TESTS(tests);
}
