//! The clock of this machine beside the `Date` of a response.

use std::time::{Duration, SystemTime};

use super::Step;
use super::http::Head;
use crate::text::{printable, time};

/// A larger difference is a failed step.
const TOLERATED: Duration = Duration::from_secs(60);
/// `Date` has no parts of a second.
const DATE_RESOLUTION: Duration = Duration::from_secs(1);

/// Compares the clocks.
pub(super) fn compare(head: &Head) -> Step<String> {
    let Some(date) = head.header("date") else {
        return Ok("not compared: the response has no Date".to_owned());
    };
    let Ok(server) = httpdate::parse_http_date(date) else {
        return Ok(format!("not compared: the Date of the response is {}", printable(date)));
    };
    decide(server, head.received, head.took)
}

/// The server wrote its `Date` at some time between the request and the response.
fn decide(server: SystemTime, received: SystemTime, took: Duration) -> Step<String> {
    let (word, difference) = match received.duration_since(server) {
        Ok(ahead) => ("ahead of", ahead.saturating_sub(took + DATE_RESOLUTION)),
        Err(behind) => ("behind", behind.duration()),
    };
    if difference <= DATE_RESOLUTION {
        return Ok("agrees with the server's".to_owned());
    }
    let text = format!("the clock of this machine is {} {word} the server's", time(difference));
    if difference <= TOLERATED {
        return Ok(text);
    }
    Err(format!(
        "{text}: set it, for example by `timedatectl set-ntp true`; timestamps of events and the validity of \
         certificates depend on it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_from_what_the_way_and_the_date_explain() {
        let server = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let at = |ms: i64| {
            let by = Duration::from_millis(ms.unsigned_abs());
            if ms < 0 { server - by } else { server + by }
        };
        let took = Duration::from_millis(500);
        for (ms, expected) in [
            (0, Ok("agrees")),
            (2400, Ok("agrees")),
            (-900, Ok("agrees")),
            (31_500, Ok("30 s ahead of")),
            (-30_000, Ok("30 s behind")),
            (3_601_500, Err("1 h ahead of")),
            (-3_600_000, Err("1 h behind")),
        ] {
            let decided = decide(server, at(ms), took);
            let ((Ok(text), Ok(_)) | (Err(text), Err(_))) = (&decided, expected) else {
                panic!("{ms}: {decided:?}");
            };
            let (Ok(expected) | Err(expected)) = expected;
            assert!(text.contains(expected), "{ms}: {text}");
        }
    }
}
