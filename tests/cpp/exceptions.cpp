// The host throws and catches C++ exceptions while libphc panics and recovers, in two threads. Both unwind the stack; the
// library brings an unwinder of its own, which must not get in the way of the host's. It needs a library built
// with the feature failpoints: tests/dist-panics.sh.
#include <phc.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <thread>

extern "C" int32_t phc_failpoint_arm(const char *module);

namespace {

constexpr int kRounds = 500;
std::atomic<int> caught{0};
std::atomic<int> contained{0};

// Destructors run while an exception passes.
struct Guard {
    ~Guard() { caught++; }
};

void throws(int depth) {
    Guard guard;
    if (depth == 0) throw std::runtime_error("of the host");
    throws(depth - 1);
}

void use(phc_client *client) {
    for (int i = 0; i < kRounds; i++) {
        // Another thread can come between these two, so panics are counted and not expected of this very call.
        phc_failpoint_arm("capi");
        if (phc_capture(client, "user", "event", nullptr) == PHC_INTERNAL) contained++;
        try {
            throws(3);
        } catch (const std::runtime_error &) {
            continue;
        }
        std::puts("an exception was lost");
    }
}

} // namespace

int main() {
    phc_config *config = phc_config_new("key");
    phc_config_set(config, "host", "http://127.0.0.1:1");
    phc_client *client = phc_client_new(config, nullptr);
    phc_config_free(config);
    if (client == nullptr) {
        std::puts(phc_last_error());
        return 1;
    }
    std::thread other(use, client);
    use(client);
    other.join();
    phc_client_free(client);
    std::printf("%d destructors ran, %d panics were contained\n", caught.load(), contained.load());
    return caught == 2 * kRounds * 4 && contained >= kRounds ? 0 : 1;
}
