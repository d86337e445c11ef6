//! Events are sent twice only where an attempt went without a response. Processes that end in order, one after another,
//! over a server that fails and cuts connections: the sink has a rule for each way to send an event again after it has
//! responded for it, and none is broken.

use std::collections::HashMap;
use std::time::Duration;

use super::kills::{Promise, compare};
use super::writer::Counter;
use super::{Place, Proofs};
use crate::checks::ensure;
use crate::process::Outcome;
use crate::random::Random;

pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    let lives = if proofs.is_long { 200 } else { 12 };
    let place = proofs.place("duplicates")?;
    place.post("_chaos", r#"{"seed":5,"status503":0.15,"retry":0.15,"cut":0.15,"delay_ms_max":20}"#)?;
    let (mut records, mut moment) = (Vec::new(), Random(41));
    for life in 0..lives {
        // Each waits for the end of its attempts; some have no time to begin others.
        let end = match life % 3 {
            0 => "+close_ms=5000",
            1 => "+close_ms=5000 +flush_ms=300",
            _ => "+exit=1",
        };
        let words = format!(
            "{end} +events={} +every_us=200 spool_safety=crash flush_at=20 max_batch_events=40 max_retries=1000 \
             exit_flush_ms=5000",
            20 + moment.below(200)
        );
        let mut writer = place.start(&format!("writer-{life}"), &words)?;
        writer.reaches(Counter::Acknowledged, 1)?;
        std::thread::sleep(Duration::from_millis(moment.below(100)));
        let (code, said, record) = writer.wait()?;
        ensure(code == Some(0), || format!("a process ended with {code:?}: {said}"))?;
        records.push(record);
    }
    let own = place.drain()?.record()?;
    let outcome = compare(Promise::Acknowledged, &records, &own, &place).map(|_| ());
    proofs.checks.check("processes that end in order lose nothing", outcome);
    let outcome = place.get("_violations").and_then(|list| {
        ensure(list == "[]", || {
            format!("rules of the contract were broken: {}", list.get(..2000).unwrap_or(&list))
        })
    });
    proofs.checks.check("an event for which the server has responded is not sent again", outcome);
    let (again, cut) = sent_again(&place)?;
    println!("   {again} events were sent again after an attempt without a response, of {cut} such attempts");
    proofs.checks.that("there were such attempts", cut > 0);
    Ok(())
}

/// How many events the sink has stored more than once, and how many requests got no whole response.
fn sent_again(place: &Place) -> Outcome<(usize, usize)> {
    let stored = place.get("_events?accepted=1&fields=uuid")?;
    let mut times = HashMap::new();
    for uuid in stored.lines() {
        *times.entry(uuid).or_insert(0) += 1;
    }
    let requests = place.get("_requests")?;
    let cut = requests.matches("\"cut\":\"").count();
    Ok((times.values().filter(|count| **count > 1).count(), cut))
}
