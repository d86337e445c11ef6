// JSON objects and arrays, written as text straight from C++ values.
#ifndef PHC_JSON_HPP
#define PHC_JSON_HPP

#include "members.hpp"

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace phc {
inline namespace PHC_CPP_MODE {

// A value that is JSON text already: set("cart", phc::raw_json(text)). It is copied as it is; the capture
// refuses an event with malformed JSON, and with text that is not one value. The text must live until it is
// copied.
class raw_json {
public:
    template <class Text, std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>, int> = 0>
    explicit raw_json(const Text &text) noexcept : text_(text) {}
    std::string_view text() const noexcept { return text_; }

private:
    std::string_view text_;
};

class object;
class array;

namespace detail {

template <class T> struct is_optional : std::false_type {};
template <class T> struct is_optional<std::optional<T>> : std::true_type {};

template <class T> struct is_system_time : std::false_type {};
template <class D>
struct is_system_time<std::chrono::time_point<std::chrono::system_clock, D>> : std::true_type {};

template <class T, class = void> struct is_range : std::false_type {};
// Leaves out ranges whose elements have the type of the range, such as std::filesystem::path: writing one
// would recurse for ever.
template <class T>
struct is_range<
    T, std::void_t<decltype(std::begin(std::declval<const T &>()), std::end(std::declval<const T &>()))>>
    : std::bool_constant<!std::is_same_v<std::decay_t<decltype(*std::begin(std::declval<const T &>()))>, T>> {
};

template <class T, class = void> struct is_map : std::false_type {};
template <class T>
struct is_map<T, std::void_t<typename T::mapped_type, typename T::key_type>> : std::true_type {};

template <class T, class... Others> constexpr bool is_one_of = (std::is_same_v<T, Others> || ...);

// A single character is neither a number nor a text.
template <class T>
constexpr bool is_character = is_one_of<T, char, wchar_t, char16_t, char32_t
#ifdef __cpp_char8_t
                                        ,
                                        char8_t
#endif
                                        >;

#ifdef __cpp_char8_t
template <class T> constexpr bool is_utf8 = std::is_convertible_v<const T &, std::u8string_view>;
#else
template <class T> constexpr bool is_utf8 = false;
#endif

template <class T> constexpr bool is_text = std::is_convertible_v<const T &, std::string_view>;

void write_object(std::string &out, const object &value);
void write_array(std::string &out, const array &value);
template <class T> void write_map(std::string &out, const T &value);

template <class T> bool is_absent(const T &value) noexcept {
    if constexpr (is_optional<T>::value) return !value.has_value();
    else return static_cast<void>(value), false;
}

template <class T> void write(std::string &out, const T &value) {
    if constexpr (std::is_same_v<T, std::nullptr_t>) {
        out += "null";
    } else if constexpr (is_one_of<T, bool, std::vector<bool>::const_reference>) {
        out += value ? "true" : "false";
    } else if constexpr (std::is_same_v<T, raw_json>) {
        write_raw(out, value.text());
    } else if constexpr (std::is_same_v<T, object>) {
        write_object(out, value);
    } else if constexpr (std::is_same_v<T, array>) {
        write_array(out, value);
    } else if constexpr (is_system_time<T>::value) {
        write_time(out, in_milliseconds(value));
    } else if constexpr (is_optional<T>::value) {
        if (value.has_value()) write(out, *value);
        else out += "null";
    } else if constexpr (std::is_integral_v<T> && !is_character<T>) {
        write_integer(out, value);
    } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
        write_number(out, value);
    } else if constexpr (std::is_same_v<T, long double>) {
        write_number(out, static_cast<double>(value));
    } else if constexpr (std::is_pointer_v<T> && (is_text<T> || is_utf8<T>)) {
        if (value == nullptr) out += "null";
        else if constexpr (is_text<T>) write_string(out, value);
        else write_string(out, reinterpret_cast<const char *>(value));
    } else if constexpr (is_text<T>) {
        write_string(out, value);
#ifdef __cpp_char8_t
    } else if constexpr (is_utf8<T>) {
        const std::u8string_view text = value;
        write_string(out, {reinterpret_cast<const char *>(text.data()), text.size()});
#endif
    } else if constexpr (is_map<T>::value) {
        write_map(out, value);
    } else if constexpr (is_range<T>::value) {
        out += '[';
        for (const auto &each : value) {
            separate(out);
            write(out, each);
        }
        out += ']';
    } else {
        static_assert(
            !std::is_same_v<T, T>,
            "phc: no JSON is known for this type; pass text, a number, a range, a map or phc::raw_json");
    }
}

// A value by itself, as text: of phc::raw_json the text as it was given, so that the library says what is wrong with it.
template <class T> std::string json_of(const T &value) {
    std::string json;
    if constexpr (std::is_same_v<T, raw_json>) json.append(value.text());
    else write(json, value);
    return json;
}

// A multimap may have a key twice.
template <class T> void write_map(std::string &out, const T &value) {
    member_list list;
    out += '{';
    for (const auto &[key, each] : value) {
        new_member member(out, list, key);
        write(out, each);
        member.keep();
    }
    list.pack(out);
    out += '}';
}

// A reference to a value of any type, for lists in braces.
class any {
public:
    template <class T>
    explicit any(const T &value) noexcept : value_(&value), write_(&write_as<T>), absent_(is_absent(value)) {}
    void write_to(std::string &out) const { write_(out, value_); }
    bool absent() const noexcept { return absent_; }

private:
    template <class T> static void write_as(std::string &out, const void *value) {
        write(out, *static_cast<const T *>(value));
    }

    const void *value_;
    void (*write_)(std::string &, const void *);
    bool absent_;
};

} // namespace detail

// A member of a list in braces: {"path", "/pricing"}. It refers to its key and value, so it is for arguments
// only.
class property {
public:
    template <class T> property(std::string_view key, const T &value) noexcept : key_(key), value_(value) {}
    std::string_view key() const noexcept { return key_; }
    const detail::any &value() const noexcept { return value_; }

private:
    std::string_view key_;
    detail::any value_;
};

class object_writer;
class array_writer;

namespace detail {

template <class Fill> void fill_object(std::string &out, Fill &&fill);

// What objects, events and object writers have in common.
template <class Self> class members {
public:
    // Sets a member, in place of an earlier one with that key: of a key that is set again the last value is
    // sent, in any position among the others. Values are text, bool, whole numbers, float and double (NaN and
    // the infinities become null), nullptr, std::optional (an empty one changes nothing), times of
    // std::chrono::system_clock, ranges, maps, phc::object, phc::array and phc::raw_json.
    template <class T> Self &set(std::string_view key, const T &value) {
        if (is_absent(value)) return self();
        new_member member(out(), list(), key);
        write(out(), value);
        member.keep();
        return self();
    }

    Self &set(const property &property) {
        if (property.value().absent()) return self();
        new_member member(out(), list(), property.key());
        property.value().write_to(out());
        member.keep();
        return self();
    }

    // Sets a member to an object, which the function writes in place:
    //     set_object("cart", [&](phc::object_writer &cart) { cart.set("total", 12.5); })
    template <class Fill> Self &set_object(std::string_view key, Fill &&fill);
    // Sets a member to an array, which the function writes in place:
    //     set_array("ids", [&](phc::array_writer &ids) { ids.add(7); })
    template <class Fill> Self &set_array(std::string_view key, Fill &&fill);

private:
    Self &self() noexcept { return static_cast<Self &>(*this); }
    std::string &out() noexcept { return self().text(); }
    member_list &list() noexcept { return self().list(); }
};

// What arrays and array writers have in common.
template <class Self> class elements {
public:
    // Adds an element. Values are those of members::set; an empty std::optional is null.
    template <class T> Self &add(const T &value) {
        if constexpr (std::is_same_v<T, Self>) {
            if (&value == this) return add(T(value)); // what it holds before it grows
        }
        rollback written(out());
        separate(out());
        write(out(), value);
        written.keep();
        return self();
    }
    template <class Fill> Self &add_object(Fill &&fill);
    template <class Fill> Self &add_array(Fill &&fill);

private:
    Self &self() noexcept { return static_cast<Self &>(*this); }
    std::string &out() noexcept { return self().text(); }
};

} // namespace detail

// Writes an object into the text of an event or of another object; see set_object.
class object_writer : public detail::members<object_writer> {
public:
    explicit object_writer(std::string &out) noexcept : out_(out) {}

private:
    friend class detail::members<object_writer>;
    template <class Fill> friend void detail::fill_object(std::string &out, Fill &&fill);
    std::string &text() noexcept { return out_; }
    detail::member_list &list() noexcept { return list_; }
    std::string &out_;
    detail::member_list list_;
};

// Writes an array into the text of an event or of another object; see set_array.
class array_writer : public detail::elements<array_writer> {
public:
    explicit array_writer(std::string &out) noexcept : out_(out) {}

private:
    friend class detail::elements<array_writer>;
    std::string &text() noexcept { return out_; }
    std::string &out_;
};

// An object: phc::object{{"path", "/pricing"}, {"items", 3}}. It holds its members as JSON text.
class object : public detail::members<object> {
public:
    object() = default;
    object(std::initializer_list<property> properties) {
        for (const property &each : properties) set(each);
    }

    bool empty() const noexcept { return members_.empty(); }
    void clear() noexcept {
        members_.clear();
        list_.clear();
    }
    // The members as text, without the braces.
    std::string members_text() const {
        std::string text;
        write_members(text);
        return text;
    }
    std::string json() const {
        std::string text;
        detail::write_object(text, *this);
        return text;
    }

private:
    friend class client;
    friend class detail::members<object>;
    friend void detail::write_object(std::string &out, const object &value);
    std::string &text() noexcept { return members_; }
    detail::member_list &list() noexcept { return list_; }
    void write_members(std::string &out) const {
        if (&out != &members_) return list_.write_to(out, members_);
        // It is set as a member of itself, which has been begun: the others are what it holds.
        list_.write_to(out, members_.substr(0, list_.size_of_text()));
    }
    std::string members_;
    detail::member_list list_;
};

// The properties of an event, of a person or of a group.
using properties = object;

// An array of values of any types: phc::array::of(1, "two", 3.0). A range of equal types does not need it.
class array : public detail::elements<array> {
public:
    array() = default;
    template <class... T> static array of(const T &...values) {
        array made;
        (made.add(values), ...);
        return made;
    }

    bool empty() const noexcept { return elements_.empty(); }
    void clear() noexcept { elements_.clear(); }
    // The elements as text, without the brackets.
    const std::string &elements_text() const noexcept { return elements_; }
    std::string json() const { return "[" + elements_ + "]"; }

private:
    friend class detail::elements<array>;
    std::string &text() noexcept { return elements_; }
    std::string elements_;
};

namespace detail {

inline void write_object(std::string &out, const object &value) {
    out += '{';
    value.write_members(out);
    out += '}';
}

inline void write_array(std::string &out, const array &value) {
    out += '[';
    out += value.elements_text();
    out += ']';
}

template <class Fill> void fill_object(std::string &out, Fill &&fill) {
    out += '{';
    object_writer writer(out);
    std::forward<Fill>(fill)(writer);
    writer.list_.pack(out);
    out += '}';
}

template <class Fill> void fill_array(std::string &out, Fill &&fill) {
    out += '[';
    array_writer writer(out);
    std::forward<Fill>(fill)(writer);
    out += ']';
}

template <class Self>
template <class Fill>
Self &members<Self>::set_object(std::string_view key, Fill &&fill) {
    new_member member(out(), list(), key);
    fill_object(out(), std::forward<Fill>(fill));
    member.keep();
    return self();
}

template <class Self>
template <class Fill>
Self &members<Self>::set_array(std::string_view key, Fill &&fill) {
    new_member member(out(), list(), key);
    fill_array(out(), std::forward<Fill>(fill));
    member.keep();
    return self();
}

template <class Self> template <class Fill> Self &elements<Self>::add_object(Fill &&fill) {
    rollback written(out());
    separate(out());
    fill_object(out(), std::forward<Fill>(fill));
    written.keep();
    return self();
}

template <class Self> template <class Fill> Self &elements<Self>::add_array(Fill &&fill) {
    rollback written(out());
    separate(out());
    fill_array(out(), std::forward<Fill>(fill));
    written.keep();
    return self();
}

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
