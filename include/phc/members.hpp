// The members of a JSON object that is being written, with distinct keys.
#ifndef PHC_MEMBERS_HPP
#define PHC_MEMBERS_HPP

#include "raw.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phc {
inline namespace PHC_CPP_MODE {
namespace detail {

// Where the members of one object are in its text. Setting a key again does not move the text behind the old
// member: the old one is noted as replaced, and left out once such members are half of the text, or when the
// text is read. So n calls take about n steps, however many keys there are and however often they are set.
//
// Most keys are new, and a bit of a fingerprint that no other key has shows it. Otherwise the key is compared
// with those of the same fingerprint, or from `indexed_from` members on looked up in a tree, in which keys
// that strangers choose take no more steps than others.
class member_list {
public:
    member_list() = default;
    member_list(const member_list &) = default;
    member_list(member_list &&other) noexcept { take(other); }
    member_list &operator=(const member_list &) = default;
    member_list &operator=(member_list &&other) noexcept {
        clear();
        take(other);
        return *this;
    }
    ~member_list() = default;

    // Appends the members that count to a text.
    void write_to(std::string &out, const std::string &text) const {
        std::size_t read = 0;
        if (replaced_ > 0) {
            for (const member &each : list_) {
                if (!each.is_replaced() || each.end >= text.size()) continue;
                out.append(text, read, each.begin - read);
                read = each.end + 1;
            }
        }
        out.append(text, read);
    }

    // Leaves the members that were replaced out of the text, unless a member is being written.
    void pack(std::string &text) noexcept {
        if (replaced_ == 0 || open_ > 0) return;
        std::size_t read = 0, write = 0, kept = 0;
        const auto move_up_to = [&](std::size_t end) {
            if (read != write) std::memmove(&text[write], &text[read], end - read);
            write += end - read;
            read = end;
        };
        for (const member each : list_) {
            if (each.is_replaced()) {
                move_up_to(each.begin);
                read = each.end + 1; // with the comma: the member that replaced it comes later
            } else {
                list_[kept] = each;
                list_[kept].begin -= read - write;
                list_[kept++].end -= read - write;
            }
        }
        move_up_to(text.size());
        text.erase(write);
        list_.erase(list_.begin() + static_cast<std::ptrdiff_t>(kept), list_.end());
        replaced_ = 0;
        indexed_ = false;
    }

    // Whether there is a member with this key, which write_key has written.
    bool has(const std::string &text, std::string_view key) const {
        if (open_ > 0) return false; // inside of a member the text is not an event
        for (const member &each : list_) {
            if (key_of(text, each) == key && !each.is_replaced()) return true;
        }
        return is_ambiguous_ && std::any_of(list_.begin(), list_.end(), [&](const member &each) {
                   return !each.is_replaced() && is_same_key(key_of(text, each), key);
               });
    }

    // Where the last member ends that has been written in full.
    std::size_t size_of_text() const noexcept { return list_.empty() ? 0 : list_.back().end; }

    void clear() noexcept {
        list_.clear();
        index_.clear();
        for (std::uint64_t &seen : seen_) seen = 0;
        replaced_ = 0;
        indexed_ = is_ambiguous_ = false;
    }

private:
    friend class new_member;

    struct member {
        std::size_t begin; // of its key, with the quote
        std::size_t end;
        std::size_t key_size; // with both quotes
        std::uint32_t fingerprint;
        std::uint32_t replaced_by; // the index of the member with its key that came later, or `by_none`
        bool is_replaced() const noexcept { return replaced_by != by_none; }
    };

    static constexpr std::size_t indexed_from = 64;
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    static constexpr std::uint32_t by_none = static_cast<std::uint32_t>(-1);

    // Leaves the other one empty, but for the members that are being written.
    void take(member_list &other) noexcept {
        list_.swap(other.list_);
        index_.swap(other.index_);
        for (std::size_t i = 0; i < 4; i++) std::swap(seen_[i], other.seen_[i]);
        std::swap(replaced_, other.replaced_);
        std::swap(indexed_, other.indexed_);
        std::swap(is_ambiguous_, other.is_ambiguous_);
    }

    // Of the first and the last eight bytes.
    static std::uint32_t fingerprint(std::string_view key) noexcept {
        std::uint64_t first = 0, last = 0;
        if (key.size() >= 8) {
            std::memcpy(&first, key.data(), 8);
            std::memcpy(&last, key.data() + key.size() - 8, 8);
        } else {
            for (const char each : key) first = first << 8 | static_cast<unsigned char>(each);
        }
        return static_cast<std::uint32_t>(
            ((first ^ (last << 23 | last >> 41) ^ key.size()) * 0x9e3779b97f4a7c15) >> 32);
    }

    std::string_view key_of(const std::string &text, const member &each) const noexcept {
        return {text.data() + each.begin, each.key_size};
    }

    // Enters a member that was written at the end of the text, whose key may be written in two ways.
    void add_ambiguous(const std::string &text, std::size_t begin, std::size_t key_size) {
        is_ambiguous_ = true;
        add(text, begin, key_size, repaired_key({text.data() + begin, key_size}));
    }

    // Enters a member that was written at the end of the text. What may throw comes first.
    void add(const std::string &text, std::size_t begin, std::size_t key_size, std::string_view key) {
        forget_from(begin);
        const member added{begin, text.size(), key_size, fingerprint(key), by_none};
        std::uint64_t &seen = seen_[added.fingerprint >> 30];
        const std::uint64_t bit = std::uint64_t(1) << (added.fingerprint >> 24 & 63);
        if (list_.size() == list_.capacity()) list_.reserve(list_.size() < 8 ? 8 : list_.size() * 2);
        std::size_t same = none;
        if (list_.size() >= indexed_from) same = enter(text, key);
        else if (seen & bit) same = find(text, key, added.fingerprint);
        list_.push_back(added);
        seen |= bit;
        if (same == none) return;
        replaced_ += list_[same].end - list_[same].begin;
        list_[same].replaced_by = static_cast<std::uint32_t>(list_.size() - 1);
    }

    std::size_t find(const std::string &text, std::string_view key, std::uint32_t print) const {
        for (std::size_t i = 0; i < list_.size(); i++) {
            const member &each = list_[i];
            if (each.fingerprint == print && !each.is_replaced() && is_same_key(key_of(text, each), key))
                return i;
        }
        return none;
    }

    // Enters the key of the next member into the tree; returns the member that had it.
    std::size_t enter(const std::string &text, std::string_view key) {
        if (!indexed_) {
            index_.clear();
            for (std::size_t i = 0; i < list_.size(); i++) {
                if (!list_[i].is_replaced()) index_.emplace(repaired_key(key_of(text, list_[i])), i);
            }
            indexed_ = true;
        }
        const auto found = index_.lower_bound(key);
        if (found == index_.end() || found->first != key) {
            index_.emplace_hint(found, key, list_.size());
            return none;
        }
        const std::size_t same = found->second;
        found->second = list_.size();
        return same;
    }

    // Forgets the members that were entered behind this place: they are part of the value of a member that is being
    // written. What they replaced counts again.
    void forget_from(std::size_t begin) noexcept {
        if (!list_.empty() && list_.back().end > begin) forget_some_from(begin);
    }
    void forget_some_from(std::size_t begin) noexcept {
        std::size_t kept = list_.size();
        while (kept > 0 && list_[kept - 1].end > begin) kept--;
        for (std::size_t i = 0; i < list_.size(); i++) {
            if (!list_[i].is_replaced() || (i < kept && list_[i].replaced_by < kept)) continue;
            list_[i].replaced_by = by_none;
            replaced_ -= list_[i].end - list_[i].begin;
        }
        list_.erase(list_.begin() + static_cast<std::ptrdiff_t>(kept), list_.end());
        indexed_ = false;
    }

    std::vector<member> list_; // in the order of the text
    std::map<std::string, std::size_t, std::less<>> index_;
    std::uint64_t seen_[4] = {}; // the bits of all fingerprints
    std::size_t replaced_ = 0;   // bytes of the members that were replaced
    unsigned open_ = 0;          // members that are being written
    bool indexed_ = false;
    bool is_ambiguous_ = false; // whether there was a key that can be written in two ways
};

// Restores the length of a text at the end of a scope, unless it is kept. Without it, an exception in the
// middle of a value would leave the whole text malformed.
class rollback {
public:
    explicit rollback(std::string &out) noexcept : out_(out), size_(out.size()) {}
    rollback(const rollback &) = delete;
    rollback &operator=(const rollback &) = delete;
    ~rollback() {
        if (!kept_) out_.resize(size_);
    }
    void keep() noexcept { kept_ = true; }

private:
    std::string &out_;
    std::size_t size_;
    bool kept_ = false;
};

// A member that is being written at the end of a text. Unless it is kept, the text is as before.
class new_member {
public:
    new_member(std::string &text, member_list &list, std::string_view key)
        : text_(packed(text, list)), list_(list), written_(text) {
        separate(text);
        begin_ = text.size();
        is_ambiguous_ = write_key(text, key);
        key_size_ = text.size() - begin_;
        text += ':';
        list.open_++;
    }
    new_member(const new_member &) = delete;
    new_member &operator=(const new_member &) = delete;
    ~new_member() {
        if (!kept_) list_.forget_from(begin_);
        list_.open_--;
    }
    void keep() {
        if (is_ambiguous_) list_.add_ambiguous(text_, begin_, key_size_);
        else list_.add(text_, begin_, key_size_, {text_.data() + begin_, key_size_});
        written_.keep();
        kept_ = true;
    }

private:
    static std::string &packed(std::string &text, member_list &list) noexcept {
        if (list.replaced_ > text.size() / 2) list.pack(text);
        return text;
    }

    std::string &text_;
    member_list &list_;
    rollback written_;
    std::size_t begin_ = 0, key_size_ = 0;
    bool is_ambiguous_ = false, kept_ = false;
};

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
