// The counters of a client.
#ifndef PHC_STATS_HPP
#define PHC_STATS_HPP

#include "report.hpp"

namespace phc {
inline namespace PHC_CPP_MODE {

// The counters of one instant, since the client was made or, in a forked child, since the fork. They always
// agree: captured() + recovered() == delivered() + lost() + kept() + pending_events().
class stats {
public:
    stats() = default;
    explicit stats(const phc_stats &counters) noexcept : counters_(counters) {}

    // Events that a capture took.
    std::uint64_t captured() const noexcept { return counters_.captured; }
    // Captured events that the server stored.
    std::uint64_t delivered() const noexcept { return counters_.delivered; }
    // Delivered events that the server stored with a warning.
    std::uint64_t delivered_with_warning() const noexcept { return counters_.delivered_with_warning; }
    // Delivered events about which the server said more than a plain "ok": warnings among them, and an
    // "ok" with details, usually "person_processing_disabled" (the distinct id looks like a placeholder).
    std::uint64_t delivered_with_remark() const noexcept { return counters_.delivered_with_remark; }
    // Captured events that are lost, and those lost for one reason.
    std::uint64_t lost() const noexcept { return counters_.lost; }
    std::uint64_t lost(loss reason) const noexcept {
        return slot(counters_.lost_by_reason, static_cast<std::int32_t>(reason));
    }
    // Lost events that the server may have stored.
    std::uint64_t maybe_delivered() const noexcept { return counters_.maybe_delivered; }
    // Captured events that are waiting, in flight or in back-off.
    std::uint64_t pending_events() const noexcept { return counters_.pending_events; }
    // With the setting spool_dir: pending events that are on disk; events that ended processes had left there, and that
    // this client has taken over; events that its close has left there, for a later client.
    std::uint64_t spooled() const noexcept { return counters_.spooled; }
    std::uint64_t recovered() const noexcept { return counters_.recovered; }
    std::uint64_t kept() const noexcept { return counters_.kept; }
    // The bytes and bookkeeping of pending events, as counted for the setting queue_max_bytes.
    std::uint64_t pending_bytes() const noexcept { return counters_.pending_bytes; }
    // Captures that did not take an event, and those with one status: refused(phc::code::queue_full).
    std::uint64_t refused() const noexcept { return counters_.refused; }
    std::uint64_t refused(code status) const noexcept {
        return slot(counters_.refused_by_status, static_cast<std::int32_t>(status));
    }
    // Events with bad UTF-8 or lone surrogates, which were replaced.
    std::uint64_t repaired() const noexcept { return counters_.repaired; }
    // Events whose uuid was not valid and was replaced.
    std::uint64_t uuids_replaced() const noexcept { return counters_.uuids_replaced; }
    // Requests that were begun.
    std::uint64_t requests() const noexcept { return counters_.requests; }
    // Requests that were not the first attempt of their batch.
    std::uint64_t retries() const noexcept { return counters_.retries; }
    // Bytes of request bodies before compression, and as sent.
    std::uint64_t body_bytes() const noexcept { return counters_.body_bytes; }
    std::uint64_t sent_bytes() const noexcept { return counters_.sent_bytes; }

private:
    // 0 for a number that has no slot, as the numbers of this binding's own statuses.
    template <std::size_t Slots>
    static std::uint64_t slot(const std::uint64_t (&slots)[Slots], std::int32_t number) noexcept {
        const auto index = static_cast<std::size_t>(number);
        return number >= 0 && index < Slots ? slots[index] : 0;
    }

    phc_stats counters_ = {};
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
