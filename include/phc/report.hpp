// What a listener is told: which events ended, and how.
#ifndef PHC_REPORT_HPP
#define PHC_REPORT_HPP

#include "json.hpp"

#include <iterator>
#include <memory>

namespace phc {
inline namespace PHC_CPP_MODE {

// Why an event is lost. A number that is not listed is a reason of a newer library.
enum class loss : std::int32_t {
    none = PHC_LOSS_NONE, // it is delivered
    dropped = PHC_LOSS_DROPPED,
    retry_exhausted = PHC_LOSS_RETRY_EXHAUSTED,
    rejected = PHC_LOSS_REJECTED,
    transport = PHC_LOSS_TRANSPORT,
    malformed_answer = PHC_LOSS_MALFORMED_ANSWER,
    evicted = PHC_LOSS_EVICTED,
    closed = PHC_LOSS_CLOSED,
    internal = PHC_LOSS_INTERNAL,
};

// "retry_exhausted"; "delivered" for none.
inline const char *name(loss why) noexcept { return phc_loss_name(static_cast<phc_loss>(why)); }

// The end of one event. Its texts live as long as its report.
class event_report {
public:
    explicit event_report(const phc_event_report &event) noexcept : event_(event) {}

    std::string_view uuid() const noexcept { return event_.uuid; }
    bool delivered() const noexcept { return event_.loss == PHC_LOSS_NONE; }
    phc::loss loss() const noexcept { return static_cast<phc::loss>(event_.loss); }
    // It is lost, but the server may have stored it all the same.
    bool maybe_delivered() const noexcept { return event_.maybe_delivered != 0; }
    // The server's raw code; empty for a plain ok or none.
    std::string_view verdict() const noexcept { return event_.verdict; }
    // The server's explanation; empty for none.
    std::string_view details() const noexcept { return event_.details; }

private:
    phc_event_report event_;
};

// A report while a handler looks at it: for (const phc::event_report &event : report) …
class report_view {
public:
    explicit report_view(const phc_report *report) noexcept : report_(report) {}

    // Empty when its events were in no request.
    std::string_view request_id() const noexcept { return phc_report_request_id(report_); }
    // From 1; 0 with no request.
    std::uint32_t attempt() const noexcept { return phc_report_attempt(report_); }
    // The HTTP status; 0 when there was no answer.
    std::uint32_t http_status() const noexcept { return phc_report_status(report_); }
    // What went wrong with the batch as a whole; empty when nothing did.
    std::string_view error() const noexcept { return phc_report_error(report_); }
    // Events of the batch that go into the next attempt.
    std::uint64_t pending() const noexcept { return phc_report_pending(report_); }
    // Events in reports that nobody fetched in time, before this one.
    std::uint64_t missed_events() const noexcept { return phc_report_missed_events(report_); }
    std::string_view json() const noexcept { return phc_report_json(report_); }

    std::size_t size() const noexcept { return phc_report_event_count(report_); }
    bool empty() const noexcept { return size() == 0; }
    event_report operator[](std::size_t index) const noexcept {
        phc_event_report event = {};
        event.verdict = event.details = "";
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
    const phc_report *report_;
};

namespace detail {
struct free_report {
    void operator()(phc_report *report) const noexcept { phc_report_free(report); }
};
} // namespace detail

// A report that was polled, and is the caller's.
class report : public report_view {
public:
    explicit report(phc_report *owned) noexcept : report_view(owned), owned_(owned) {}

private:
    std::unique_ptr<phc_report, detail::free_report> owned_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
