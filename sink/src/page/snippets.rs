//! How to send an event to the sink, in each language: for the page, and for the terminal.

use serde_json::{Value, json};

/// Name, what to do before, the program. `HOST` in it is the address of the sink.
const SNIPPETS: [(&str, &str, &str); 5] = [
    ("C", "cc shop.c $(pkg-config --cflags --libs phc)", include_str!("snippets/c.c")),
    ("C++", "c++ -std=c++17 shop.cpp $(pkg-config --cflags --libs phc)", include_str!("snippets/cpp.cpp")),
    ("Go", "go get github.com/PostHog/libphc/bindings/go", include_str!("snippets/go.go")),
    ("Ruby", "gem install posthog-ruby-phc", include_str!("snippets/ruby.rb")),
    ("PHP", "composer require libphc/posthog-php-phc", include_str!("snippets/php.php")),
];

/// For the page, which puts in the address by which it was opened.
pub(super) fn list() -> Value {
    let list = SNIPPETS
        .map(|(language, before, code)| json!({"language": language, "before": before, "code": code}));
    json!({ "snippets": list })
}

/// A program for each language that sends an event to this address.
#[must_use]
pub fn snippets(address: &str) -> String {
    let mut text = String::new();
    for (language, before, code) in SNIPPETS {
        text += &format!("\n{language}: {before}\n\n");
        for line in code.trim_end().replace("HOST", address).lines() {
            text += format!("    {line}").trim_end();
            text.push('\n');
        }
    }
    text + "\n"
}
