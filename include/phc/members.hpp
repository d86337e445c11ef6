// The members of a JSON object that is being written, with distinct keys.
#ifndef PHC_MEMBERS_HPP
#define PHC_MEMBERS_HPP

#include "raw.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>
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
    // Appends the members that count to a text.
    void write_to(std::string &out, const std::string &text) const {
        std::size_t read = 0;
        if (replaced_ > 0) {
            for (const member &each : list_) {
                if (!each.is_replaced()) continue;
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

    // Whether there is a member with this key, which is written with its quotes.
    bool has(const std::string &text, std::string_view key) const noexcept {
        for (const member &each : list_) {
            if (!each.is_replaced() && key_of(text, each) == key) return true;
        }
        return false;
    }

    void clear() noexcept {
        list_.clear();
        index_.clear();
        for (std::uint64_t &seen : seen_) seen = 0;
        replaced_ = 0;
        indexed_ = false;
    }

private:
    friend class new_member;

    struct member {
        std::size_t begin; // of its key, with the quote
        std::size_t end;
        std::size_t key_size; // with both quotes; 0 once the member has been replaced
        std::uint64_t fingerprint;
        bool is_replaced() const noexcept { return key_size == 0; }
    };

    static constexpr std::size_t indexed_from = 64;
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    // Of the first and the last eight bytes.
    static std::uint64_t fingerprint(std::string_view key) noexcept {
        std::uint64_t first = 0, last = 0;
        if (key.size() >= 8) {
            std::memcpy(&first, key.data(), 8);
            std::memcpy(&last, key.data() + key.size() - 8, 8);
        } else {
            for (const char each : key) first = first << 8 | static_cast<unsigned char>(each);
        }
        return (first ^ (last << 23 | last >> 41) ^ key.size()) * 0x9e3779b97f4a7c15;
    }

    std::string_view key_of(const std::string &text, const member &each) const noexcept {
        return {text.data() + each.begin, each.key_size};
    }

    // Enters a member that was written at the end of the text. What may throw comes first.
    void add(const std::string &text, std::size_t begin, std::size_t key_size) {
        // What was entered behind its beginning is part of its value, or of one that was given up.
        while (!list_.empty() && list_.back().end > begin) forget_last();
        const std::string_view key(text.data() + begin, key_size);
        const member added{begin, text.size(), key_size, fingerprint(key)};
        std::uint64_t &seen = seen_[added.fingerprint >> 62];
        const std::uint64_t bit = std::uint64_t(1) << (added.fingerprint >> 56 & 63);
        if (list_.size() == list_.capacity()) list_.reserve(list_.size() < 8 ? 8 : list_.size() * 2);
        std::size_t same = none;
        if (list_.size() >= indexed_from) same = enter(text, key);
        else if (seen & bit) same = find(text, key, added.fingerprint);
        list_.push_back(added);
        seen |= bit;
        if (same == none) return;
        replaced_ += list_[same].end - list_[same].begin;
        list_[same].key_size = 0;
    }

    std::size_t find(const std::string &text, std::string_view key, std::uint64_t print) const noexcept {
        for (std::size_t i = 0; i < list_.size(); i++) {
            if (list_[i].fingerprint == print && key_of(text, list_[i]) == key) return i;
        }
        return none;
    }

    // Enters the key of the next member into the tree; returns the member that had it.
    std::size_t enter(const std::string &text, std::string_view key) {
        if (!indexed_) {
            index_.clear();
            for (std::size_t i = 0; i < list_.size(); i++) {
                if (!list_[i].is_replaced()) index_.emplace(key_of(text, list_[i]), i);
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

    void forget_last() noexcept {
        const member &last = list_.back();
        if (last.is_replaced()) replaced_ -= last.end - last.begin;
        list_.pop_back();
        indexed_ = false;
    }

    std::vector<member> list_; // in the order of the text
    std::map<std::string, std::size_t, std::less<>> index_;
    std::uint64_t seen_[4] = {}; // the bits of all fingerprints
    std::size_t replaced_ = 0;   // bytes of the members that were replaced
    unsigned open_ = 0;          // members that are being written
    bool indexed_ = false;
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
        write_key(text, key);
        key_size_ = text.size() - begin_;
        text += ':';
        list.open_++;
    }
    new_member(const new_member &) = delete;
    new_member &operator=(const new_member &) = delete;
    ~new_member() { list_.open_--; }
    void keep() {
        list_.add(text_, begin_, key_size_);
        written_.keep();
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
};

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
