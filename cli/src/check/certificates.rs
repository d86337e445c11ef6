//! Certificates in words: for whom they are, who signed them, and until when they are valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::text::{counted, printable, time};

/// A certificate that ends sooner is worth a remark.
const SOON: u64 = 14 * 86_400;
/// So many names of a certificate are listed.
const MAX_NAMES: usize = 5;

/// A line for each certificate, that of the server first.
pub(super) fn lines(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let numbered = chain.iter().enumerate();
    numbered
        .map(|(index, certificate)| format!("certificate {}: {}", index + 1, line(certificate, now)))
        .collect()
}

fn line(certificate: &CertificateDer<'_>, now: Duration) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return "it cannot be read".to_owned();
    };
    let subject = printable(&certificate.subject().to_string());
    let issuer = printable(&certificate.issuer().to_string());
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    format!("{subject}{}; signed by {issuer}; {}", names(&certificate), valid(from, until, now.as_secs()))
}

/// From when until when, in seconds since 1970.
fn valid(from: i64, until: i64, now: u64) -> String {
    let day = |seconds| {
        Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| format!("{time:.0}"))
    };
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    if now < from {
        return format!("not valid before {}", day(from));
    }
    let Ok(left) = u64::try_from(until.saturating_sub(now)) else {
        return format!("expired at {}", day(until));
    };
    let soon = if left < SOON { ": renew it" } else { "" };
    format!("valid until {}, for {}{soon}", day(until), time(Duration::from_secs(left)))
}

/// The names that it is for, those of the extension, which alone count.
fn names(certificate: &X509Certificate<'_>) -> String {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return String::new() };
    let names: Vec<String> = extension.value.general_names.iter().filter_map(name).collect();
    let more = names.len().saturating_sub(MAX_NAMES) as u64;
    let more = if more > 0 { format!(" and {}", counted(more, "other")) } else { String::new() };
    let first: Vec<String> = names.into_iter().take(MAX_NAMES).collect();
    if first.is_empty() { String::new() } else { format!(" for {}{more}", first.join(", ")) }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| std::net::IpAddr::from(octets).to_string());
            let v6 = <[u8; 16]>::try_from(*bytes).map(|octets| std::net::IpAddr::from(octets).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_is_in_words() {
        let day = 86_400;
        for (from, until, expected) in [
            (0, 100 * day, "valid until 1970-04-11T00:00:00Z, for 90 d"),
            (0, 11 * day, "valid until 1970-01-12T00:00:00Z, for 1 d: renew it"),
            (0, 9 * day, "expired at 1970-01-10T00:00:00Z"),
            (11 * day, 12 * day, "not valid before 1970-01-12T00:00:00Z"),
        ] {
            assert_eq!(valid(from, until, 10 * 86_400), expected);
        }
    }
}
