//! The live page, and the JSON that it reads: `GET <prefix>/` and `GET <prefix>/_page/<name>`.
//!
//! The page asks for what changed, with a cursor, and for the rows that it shows; no response depends on how much was
//! received. What clients sent is in JSON only, and the page writes it as text: it is never a part of a document.

mod api;
mod flags;
mod notes;
mod rules;
mod search;
mod snippets;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::server::{Sink, json, lock, plain};
pub use snippets::snippets;

/// Only what the sink itself serves is loaded, and no script or style in the document is run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files of the page: name, type, text.
const FILES: &[(&str, &str, &str)] = &[
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("app.js", SCRIPT, include_str!("assets/app.js")),
    ("chart.js", SCRIPT, include_str!("assets/chart.js")),
    ("connect.js", SCRIPT, include_str!("assets/connect.js")),
    ("detail.js", SCRIPT, include_str!("assets/detail.js")),
    ("dom.js", SCRIPT, include_str!("assets/dom.js")),
    ("flags.js", SCRIPT, include_str!("assets/flags.js")),
    ("list.js", SCRIPT, include_str!("assets/list.js")),
    ("matches.js", SCRIPT, include_str!("assets/matches.js")),
    ("next.js", SCRIPT, include_str!("assets/next.js")),
    ("pretty.js", SCRIPT, include_str!("assets/pretty.js")),
    ("violations.js", SCRIPT, include_str!("assets/violations.js")),
];

/// The document.
pub(crate) fn index() -> Response {
    file("text/html; charset=utf-8", include_str!("assets/index.html"))
}

/// Serves `_page/<name>` below a prefix.
pub(crate) fn serve(sink: &Sink, prefix: &str, name: &str, query: &str) -> Response {
    if let Some((_, kind, text)) = FILES.iter().find(|(file, ..)| *file == name) {
        return file(kind, text);
    }
    let Some(view) = api::view(name) else {
        return plain(StatusCode::NOT_FOUND, "the page has no such file");
    };
    let namespace = sink.namespace(prefix);
    let value = view(&lock(&namespace), query, sink.started);
    let mut response = json(value.to_string());
    response.headers_mut().insert("cache-control", axum::http::HeaderValue::from_static("no-store"));
    response
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        ("content-type", kind),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-cache"),
    ];
    (headers, text).into_response()
}
