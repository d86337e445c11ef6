//! Which HTTP statuses are followed by another attempt.

/// The statuses that are retried by default, the default of the setting
/// `retry_statuses`. 429 is not among them: Capture v1 signals overload by 503 with
/// `Retry-After`.
pub(crate) const RETRYABLE: &str = "408,500,502,503,504";

/// What an HTTP status calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// 2xx: the body holds a verdict for each event.
    Success,
    /// 413: the batch is too large; its halves may not be.
    TooLarge,
    /// 415: the server does not know the codec; it may know another.
    UnknownCodec,
    /// Another attempt may succeed.
    Retryable,
    /// The host refuses whatever this client sends until the key, the proxy, the address or the plan changes.
    Refused,
    /// No attempt will succeed.
    Terminal,
}

/// Returns the class of a status, given the set of retryable ones.
pub(crate) fn classify(status: u16, retryable: &[u16]) -> Class {
    match status {
        200..=299 => Class::Success,
        413 => Class::TooLarge,
        415 => Class::UnknownCodec,
        _ if retryable.contains(&status) => Class::Retryable,
        300..=399 | 401..=404 | 407 => Class::Refused,
        _ => Class::Terminal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_class() {
        let by_default: Vec<u16> = RETRYABLE.split(',').map(|status| status.parse().unwrap()).collect();
        for status in 100..=599 {
            let expected = match status {
                200..=299 => Class::Success,
                408 | 500 | 502 | 503 | 504 => Class::Retryable,
                413 => Class::TooLarge,
                415 => Class::UnknownCodec,
                300..=399 | 401 | 402 | 403 | 404 | 407 => Class::Refused,
                _ => Class::Terminal,
            };
            assert_eq!(classify(status, &by_default), expected, "{status}");
        }
        assert_eq!(classify(429, &[429, 404]), Class::Retryable);
        assert_eq!(classify(503, &[429, 404]), Class::Terminal);
    }
}
