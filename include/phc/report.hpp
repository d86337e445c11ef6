// Reports: which events were delivered or lost, and why.
#ifndef PHC_REPORT_HPP
#define PHC_REPORT_HPP

#include "status.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

namespace phc {
inline namespace PHC_CPP_MODE {

// Why an event is lost. A number that is not listed is a reason of a newer library.
enum class loss : std::int32_t {
    none = PHC_LOSS_NONE,                             // it is delivered
    dropped = PHC_LOSS_DROPPED,                       // the server dropped it
    retry_exhausted = PHC_LOSS_RETRY_EXHAUSTED,       // the server asked for too many retries
    rejected = PHC_LOSS_REJECTED,                     // an HTTP status ended its batch
    transport = PHC_LOSS_TRANSPORT,                   // no attempt of its batch got a response
    malformed_response = PHC_LOSS_MALFORMED_RESPONSE, // the response to its batch was not one of Capture v1
    evicted = PHC_LOSS_EVICTED,                       // newer events took its place (overflow::drop_oldest)
    closed = PHC_LOSS_CLOSED,                         // the client was closed first
    internal = PHC_LOSS_INTERNAL,                     // an internal error in libphc
    expired = PHC_LOSS_EXPIRED,                       // it was on disk for longer than spool_max_age_ms
    corrupt = PHC_LOSS_CORRUPT,                       // it was on disk and could not be read any more
    discarded = PHC_LOSS_DISCARDED,                   // phc_spool_discard has ended it
};

// The name of a reason, such as "retry_exhausted"; "delivered" for none. Static text, for any number.
inline const char *name(loss reason) noexcept { return phc_loss_name(static_cast<phc_loss>(reason)); }

// How one event ended. Its texts live as long as the report.
class event_report {
public:
    explicit event_report(const phc_event_report &event) noexcept : event_(event) {}

    std::string_view uuid() const noexcept { return event_.uuid; }
    bool delivered() const noexcept { return event_.loss == PHC_LOSS_NONE; }
    phc::loss loss() const noexcept { return static_cast<phc::loss>(event_.loss); }
    // Whether the event is lost, but the server may have stored it.
    bool maybe_delivered() const noexcept { return event_.maybe_delivered != 0; }
    // The server's result code, such as "warning"; empty for an ok without details, and without a result.
    std::string_view verdict() const noexcept { return event_.verdict; }
    // The server's explanation; empty if there is none.
    std::string_view details() const noexcept { return event_.details; }

private:
    phc_event_report event_;
};

// A report that a callback sees: one attempt to send a batch, or another occasion on which events ended. It
// is valid until the callback returns. It is a range of the events that ended:
//
//     for (const phc::event_report &event : report) …
class report_view {
public:
    explicit report_view(const phc_report *report) noexcept : report_(report) {}

    // The request id of the batch; empty if its events were in no request.
    std::string_view request_id() const noexcept { return phc_report_request_id(report_); }
    // The number of the attempt, from 1; 0 without a request.
    std::uint32_t attempt() const noexcept { return phc_report_attempt(report_); }
    // When the attempt began; the epoch (1970) without a request.
    std::chrono::system_clock::time_point sent_at() const noexcept {
        return std::chrono::system_clock::time_point(
            std::chrono::milliseconds(phc_report_sent_at_ms(report_)));
    }
    // The HTTP status; 0 if there was no response.
    std::uint32_t http_status() const noexcept { return phc_report_http_status(report_); }
    // What went wrong with the batch as a whole; empty if nothing did.
    std::string_view error() const noexcept { return phc_report_error(report_); }

    // How many events of the batch are sent again.
    std::size_t pending_count() const noexcept { return phc_report_pending_count(report_); }
    // The uuid of one of them, with the setting reports::all; empty with other settings, and beyond
    // pending_count().
    std::string_view pending_uuid(std::size_t index) const noexcept {
        return phc_report_pending_uuid(report_, index);
    }

    // How many reports were discarded before this one, because they were not read in time.
    std::uint64_t missed_reports() const noexcept { return phc_report_missed_reports(report_); }
    // How many events those reports had.
    std::uint64_t missed_events() const noexcept { return phc_report_missed_events(report_); }

    // The whole report as one JSON object.
    std::string_view json() const noexcept { return phc_report_json(report_); }

    // The events that ended.
    std::size_t size() const noexcept { return phc_report_event_count(report_); }
    bool empty() const noexcept { return size() == 0; }
    event_report operator[](std::size_t index) const noexcept {
        phc_event_report event = {};
        event.uuid = event.verdict = event.details = ""; // for an index that is not below size()
        phc_report_event(report_, index, &event, sizeof event);
        return event_report(event);
    }

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = event_report;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = event_report;

        iterator() = default;
        iterator(const phc_report *report, std::size_t index) noexcept : report_(report), index_(index) {}
        event_report operator*() const noexcept { return report_view(report_)[index_]; }
        iterator &operator++() noexcept { return index_++, *this; }
        iterator operator++(int) noexcept { return iterator(report_, index_++); }
        friend bool operator==(const iterator &left, const iterator &right) noexcept {
            return left.index_ == right.index_;
        }
        friend bool operator!=(const iterator &left, const iterator &right) noexcept {
            return !(left == right);
        }

    private:
        const phc_report *report_ = nullptr;
        std::size_t index_ = 0;
    };
    iterator begin() const noexcept { return iterator(report_, 0); }
    iterator end() const noexcept { return iterator(report_, size()); }

protected:
    const phc_report *report_; // NULL reads as an empty report
};

// A report that client::poll returned and that its holder owns. One that was moved from is empty.
class report : public report_view {
public:
    explicit report(phc_report *owned) noexcept : report_view(owned), owned_(owned) {}
    report(report &&other) noexcept
        : report_view(std::exchange(other.report_, nullptr)), owned_(std::move(other.owned_)) {}
    report &operator=(report &&other) noexcept {
        owned_ = std::move(other.owned_);
        other.report_ = nullptr;
        report_ = owned_.get();
        return *this;
    }

private:
    struct free_report {
        void operator()(phc_report *report) const noexcept { phc_report_free(report); }
    };
    std::unique_ptr<phc_report, free_report> owned_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
