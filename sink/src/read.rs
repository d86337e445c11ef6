//! Reads a request and checks it by itself, which takes the most time and needs no namespace.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue};

use crate::check::Findings;
use crate::check::body::{self, Body};
use crate::check::headers::{self, Headers};
use crate::decode::{DecodeError, decode};
use crate::namespace::{IncomingRequest, Options};
use crate::records::RequestRecord;
use crate::text::cut;

/// A request that was read, with the rules that it breaks by itself.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    pub(crate) headers: Headers,
    pub(crate) body: Body,
    pub(crate) findings: Findings,
    /// What its record has before there is a response.
    pub(crate) record: RequestRecord,
}

impl ReadRequest {
    pub(crate) fn new(request: &IncomingRequest<'_>, options: &Options) -> Self {
        let mut findings = Findings::default();
        let headers = headers::check(request.headers, request.uri, options.api_key.as_deref(), &mut findings);
        let (body, bytes_raw) = read_body(&headers, request.body, options, &mut findings);
        let record = RequestRecord {
            request_id: headers.request_id.clone(),
            attempt: headers.attempt,
            event_count: body.events.len(),
            uuids: body.events.iter().map(|event| event.uuid).collect(),
            headers: header_texts(request.headers),
            path: request.uri.path().to_owned(),
            encoding: headers.encoding.clone().unwrap_or_else(|| "identity".to_owned()),
            bytes_wire: request.body.len(),
            bytes_raw,
            created_at: cut(&body.created_at, 100).to_owned(),
            historical_migration: body.historical_migration,
            connection: request.connection,
            ..RequestRecord::default()
        };
        Self { headers, body, findings, record }
    }
}

fn read_body(headers: &Headers, body: &[u8], options: &Options, findings: &mut Findings) -> (Body, usize) {
    let decoded = if body.len() > options.max_wire_body {
        Err(DecodeError::TooLarge)
    } else {
        decode(headers.encoding.as_deref(), body, options.max_body)
    };
    match decoded {
        Ok(text) => (body::check(&text, &headers.key, findings), text.len()),
        Err(DecodeError::UnknownCodec) => {
            let codec = headers.encoding.as_deref().unwrap_or_default();
            findings.refuse(
                415,
                "content-encoding",
                format!("unknown codec {codec:?}; known are gzip, deflate, zstd and br"),
            );
            (Body::default(), 0)
        }
        Err(DecodeError::Broken(reason)) => {
            let codec = headers.encoding.as_deref().unwrap_or_default();
            findings.refuse(
                400,
                "broken-encoding",
                format!("the body does not decompress as {codec}: {reason}"),
            );
            (Body::default(), 0)
        }
        Err(DecodeError::TooLarge) => {
            // A client cannot know the bound, so this is not a violation.
            findings.status.get_or_insert((413, "max-body"));
            (Body::default(), options.max_body)
        }
    }
}

pub(crate) fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
