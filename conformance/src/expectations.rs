//! Compares what was observed in a scenario with what it expects: the server's records, and the client's
//! counters and reports.
//!
//! It makes no call, and knows nothing of how the client is driven.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use phc_sink::{FlagRecord, Namespace, RequestRecord};

use crate::case::{Apart, Expected, ExpectedFlagRequest, ExpectedReport, ExpectedRequest};
use crate::json::{Extent, Tree, difference};
use crate::levels::Level;
use crate::run_rules::RunRules;
use crate::steps::{Rule, Stop};
use crate::test_server::CaseServer;

/// What the client itself recorded.
#[derive(Default)]
pub(crate) struct ClientRecords {
    /// The names of the captured events, by uuid.
    pub(crate) names: HashMap<String, String>,
    /// Its counters; `None` if it has none.
    pub(crate) stats: Option<Tree>,
    /// Its reports; `None` if it has none.
    pub(crate) reports: Option<Vec<Tree>>,
}

/// Checks everything that a scenario expects. What came too late is added to `late`.
///
/// # Errors
/// The first difference.
pub(crate) fn check(
    expect: &Expected,
    server: &CaseServer,
    run_rules: &RunRules<'_>,
    records: &ClientRecords,
    late: &mut Vec<String>,
) -> Result<(), Stop> {
    // What was received says more than the rules that it breaks as well.
    let violations = check_violations(expect, server, run_rules);
    match (check_server(expect, &server.namespace(), late), violations) {
        (Ok(()), violations) => violations?,
        (Err(text), Err(Stop::Violated(rule, broken))) if rule.level == Level::Server => {
            return Err(Stop::Violated(rule, format!("{text}; {broken}")));
        }
        (Err(text), _) => return Err(Stop::Failed(text)),
    }
    check_client(expect, run_rules, records).map_err(Stop::Failed)
}

/// Compares the violations that count with those that the case breaks on purpose.
fn check_violations(expect: &Expected, server: &CaseServer, run_rules: &RunRules<'_>) -> Result<(), Stop> {
    let found = run_rules.violations(&server.namespace(), &server.case);
    let broken: BTreeSet<String> = found.iter().map(|broken| broken.check.to_owned()).collect();
    let wanted: BTreeSet<String> =
        expect.violations.iter().filter(|one| run_rules.counts(one)).cloned().collect();
    if broken == wanted {
        return Ok(());
    }
    let texts: Vec<_> = found.iter().map(|broken| format!("{}: {}", broken.check, broken.message)).collect();
    let text = format!("broken rules {broken:?}, expected {wanted:?}: {texts:?}");
    let unwanted = found.into_iter().filter(|broken| !wanted.contains(broken.check));
    Err(match unwanted.min_by_key(|broken| broken.level) {
        Some(broken) => Stop::Violated(Rule { name: broken.rule, level: broken.level }, text),
        None => Stop::Failed(text),
    })
}

fn check_client(expect: &Expected, run_rules: &RunRules<'_>, records: &ClientRecords) -> Result<(), String> {
    if !run_rules.is_strict() {
        return match (&expect.stats, &records.stats) {
            (Some(wanted), Some(stats)) => check_losses(&Tree::parse(wanted.get())?, stats),
            _ => Ok(()),
        };
    }
    if let Some(stats) = &records.stats {
        check_sums(stats)?;
        if let Some(wanted) = &expect.stats {
            check_members("stats", wanted.get(), stats)?;
        }
    }
    if let Some(reports) = &records.reports {
        for wanted in &expect.reports {
            check_report(wanted, reports, &records.names)?;
        }
        if let Some(wanted) = expect.report_count.filter(|wanted| *wanted != reports.len()) {
            return Err(format!("{} reports, expected {wanted}: {}", reports.len(), list(reports)));
        }
    }
    Ok(())
}

fn check_server(expect: &Expected, namespace: &Namespace, late: &mut Vec<String>) -> Result<(), String> {
    let summary = namespace.summary();
    if let Some(wanted) = &expect.requests {
        check_requests(wanted, namespace, late)?;
    }
    if let Some([from, to]) = expect.request_count {
        check_range("requests", summary.requests, from, to)?;
    }
    if let Some([from, to]) = expect.concurrent {
        check_range("requests open at once", summary.max_concurrent, from, to)?;
    }
    if let Some(wanted) = &expect.accepted {
        check_accepted(wanted, namespace)?;
    }
    for (name, wanted) in &expect.events {
        check_event(name, wanted.get(), namespace)?;
    }
    if let Some(wanted) = &expect.apart {
        check_apart(wanted, namespace)?;
    }
    for name in &expect.same_timestamp {
        check_same_timestamp(name, &timestamps(name, namespace)?)?;
    }
    if let Some(wanted) = &expect.flag_requests {
        check_flag_requests(wanted, namespace.flag_requests())?;
    }
    if let Some(wanted) = &expect.summary {
        let summary = serde_json::to_string(summary).map_err(|error| error.to_string())?;
        check_members("summary", wanted.get(), &Tree::parse(&summary)?)?;
    }
    Ok(())
}

fn check_range(what: &str, seen: u64, from: u64, to: u64) -> Result<(), String> {
    if (from..=to).contains(&seen) { Ok(()) } else { Err(format!("{seen} {what}, expected {from} to {to}")) }
}

fn check_members(what: &str, wanted: &str, actual: &Tree) -> Result<(), String> {
    difference(&Tree::parse(wanted)?, actual, Extent::Named)
        .map_or(Ok(()), |text| Err(format!("{what}{text}")))
}

fn lost(stats: &Tree) -> u64 {
    match stats.get("lost") {
        Some(Tree::Object(reasons)) => reasons.iter().filter_map(|(_, count)| count.number()).sum(),
        _ => 0,
    }
}

/// What a client outside of libphc says of its losses, if it says anything: how many events are lost, and how
/// many of them the server dropped. The other reasons have no names that all clients share.
fn check_losses(wanted: &Tree, stats: &Tree) -> Result<(), String> {
    if wanted.get("lost").is_none() || stats.get("lost").is_none() {
        return Ok(());
    }
    let dropped =
        |stats: &Tree| stats.get("lost").and_then(|lost| lost.get("dropped")?.number()).unwrap_or(0);
    let (expected, found) = ((lost(wanted), dropped(wanted)), (lost(stats), dropped(stats)));
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "the client says that {} events are lost, {} of them dropped by the server; it was {} and {}",
        found.0, found.1, expected.0, expected.1
    ))
}

/// Every captured event must be delivered, lost or pending, and only one of these.
fn check_sums(stats: &Tree) -> Result<(), String> {
    let count = |key: &str| stats.get(key).and_then(Tree::number).unwrap_or(0);
    let lost = lost(stats);
    if count("captured") == count("delivered") + lost + count("pending_events") {
        return Ok(());
    }
    Err(format!("captured is not the sum of delivered, lost and pending_events: {stats}"))
}

fn event_names(request: &RequestRecord, namespace: &Namespace) -> Vec<String> {
    let events = namespace.events().iter().filter(|event| event.request == request.n);
    events.map(|event| event_name(event.event.get())).collect()
}

fn event_name(event: &str) -> String {
    let name = |event: Tree| Some(event.get("event")?.text()?.to_owned());
    Tree::parse(event).ok().and_then(name).unwrap_or_default()
}

fn check_requests(
    wanted: &[ExpectedRequest],
    namespace: &Namespace,
    late: &mut Vec<String>,
) -> Result<(), String> {
    let found = namespace.requests();
    if wanted.len() != found.len() {
        let list: Vec<_> =
            found.iter().map(|one| (one.attempt, one.status, event_names(one, namespace))).collect();
        return Err(format!(
            "{} requests, expected {} (attempt, status, events): {list:?}",
            found.len(),
            wanted.len()
        ));
    }
    let mut labels: BTreeMap<&str, &str> = BTreeMap::new();
    let mut before: Option<f64> = None;
    for (wanted, found) in wanted.iter().zip(found) {
        let gap = before.map_or(0.0, |before| found.received_at_ms - before);
        check_request(wanted, found, gap, namespace)
            .map_err(|text| format!("request {}: {text}", found.n))?;
        if let Some(limit) = wanted.before_ms.filter(|limit| gap > *limit) {
            late.push(format!(
                "request {}: {gap:.0} ms after the one before, expected at most {limit}",
                found.n
            ));
        }
        before = Some(found.received_at_ms);
        if let Some(label) = &wanted.batch {
            let id = labels.entry(label).or_insert(&found.request_id);
            if *id != found.request_id {
                return Err(format!("request {}: its request id is not that of batch {label}", found.n));
            }
        }
    }
    let distinct: BTreeSet<_> = labels.values().collect();
    if distinct.len() != labels.len() {
        return Err(format!("several batches share one request id: {labels:?}"));
    }
    Ok(())
}

fn check_request(
    wanted: &ExpectedRequest,
    found: &RequestRecord,
    gap: f64,
    namespace: &Namespace,
) -> Result<(), String> {
    let names = event_names(found, namespace);
    let checks = [
        (wanted.attempt.is_some_and(|it| it != found.attempt), format!("attempt {}", found.attempt)),
        (wanted.status.is_some_and(|it| it != found.status), format!("status {}", found.status)),
        (wanted.events.as_ref().is_some_and(|it| *it != names), format!("events {names:?}")),
        (wanted.count.is_some_and(|it| it != found.event_count), format!("{} events", found.event_count)),
        (
            wanted.encoding.as_ref().is_some_and(|it| *it != found.encoding),
            format!("encoding {}", found.encoding),
        ),
        (wanted.after_ms.is_some_and(|it| gap < it), format!("only {gap:.0} ms after the one before")),
    ];
    if let Some((_, text)) = checks.into_iter().find(|(differs, _)| *differs) {
        return Err(format!("{text}; expected {wanted:?}"));
    }
    if let Some(record) = &wanted.record {
        let found = serde_json::to_string(found).map_err(|error| error.to_string())?;
        check_members("record", record.get(), &Tree::parse(&found)?)?;
    }
    Ok(())
}

fn check_accepted(wanted: &[String], namespace: &Namespace) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let stored = namespace.events().iter().filter(|event| event.stored && seen.insert(event.uuid));
    let mut names: Vec<_> = stored.map(|event| event_name(event.event.get())).collect();
    let mut wanted = wanted.to_vec();
    wanted.sort();
    names.sort();
    if names == wanted { Ok(()) } else { Err(format!("stored events {names:?}, expected {wanted:?}")) }
}

/// The first stored event of this name must have these properties; of those, all of the value.
fn check_event(name: &str, wanted: &str, namespace: &Namespace) -> Result<(), String> {
    let stored = namespace.events().iter().filter(|event| event.stored);
    let mut texts = stored.map(|event| event.event.get()).filter(|event| event_name(event) == name);
    let found = texts.next().ok_or_else(|| format!("no event {name} is stored"))?;
    check_members(name, wanted, &Tree::parse(found)?)
}

/// The timestamps of the events of this name, in the order in which they were received.
fn timestamps(name: &str, namespace: &Namespace) -> Result<Vec<jiff::Timestamp>, String> {
    let texts = namespace.events().iter().map(|event| event.event.get());
    let events = texts.filter(|text| event_name(text) == name);
    let found = events.map(|text| timestamp(&Tree::parse(text)?)).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(format!("no event {name} was received")) } else { Ok(found) }
}

fn timestamp(event: &Tree) -> Result<jiff::Timestamp, String> {
    let text = event.get("timestamp").and_then(Tree::text).unwrap_or_default();
    text.parse().map_err(|_| format!("the timestamp {text:?} is not an instant"))
}

fn check_apart(wanted: &Apart, namespace: &Namespace) -> Result<(), String> {
    let [earlier, later] = &wanted.events;
    let first =
        |name| Ok::<_, String>(timestamps(name, namespace)?.first().map_or(0, |at| at.as_millisecond()));
    let apart = first(later)? - first(earlier)?;
    if apart >= wanted.at_least_ms {
        return Ok(());
    }
    let least = wanted.at_least_ms;
    Err(format!("the timestamp of {later} is {apart} ms after that of {earlier}, expected at least {least}"))
}

fn check_same_timestamp(name: &str, found: &[jiff::Timestamp]) -> Result<(), String> {
    if found.windows(2).all(|two| two.first() == two.last()) {
        return Ok(());
    }
    Err(format!("{name} has another timestamp when it is sent again: {found:?}"))
}

fn check_flag_requests(wanted: &[ExpectedFlagRequest], found: &[FlagRecord]) -> Result<(), String> {
    if wanted.len() != found.len() {
        let list: Vec<_> = found.iter().map(|one| (one.endpoint, one.status, &one.body)).collect();
        return Err(format!(
            "{} requests of flags, expected {} (endpoint, status, body): {list:?}",
            found.len(),
            wanted.len()
        ));
    }
    for (i, (wanted, found)) in wanted.iter().zip(found).enumerate() {
        let (i, status) = (i + 1, found.status);
        if wanted.endpoint != found.endpoint || wanted.status.is_some_and(|wanted| wanted != status) {
            let endpoint = found.endpoint;
            return Err(format!(
                "request {i} of flags: {endpoint:?} with the status {status}; expected {wanted:?}"
            ));
        }
        if let Some(query) = wanted.query.as_ref().filter(|query| **query != found.query) {
            return Err(format!("request {i} of flags has the query {:?}, expected {query:?}", found.query));
        }
        if let Some(body) = &wanted.body {
            check_flag_body(body.get(), &Tree::parse(&found.body.to_string())?)
                .map_err(|text| format!("request {i} of flags: {text}"))?;
        }
    }
    Ok(())
}

/// An empty object means an empty one; of another object, the members that are named.
fn check_flag_body(wanted: &str, found: &Tree) -> Result<(), String> {
    let wanted = Tree::parse(wanted)?;
    let Tree::Object(members) = &wanted else {
        return Err("the body that is expected is not an object".to_owned());
    };
    for (key, wanted) in members {
        let found = found.get(key).ok_or_else(|| format!("its body has no {key}: {found}"))?;
        if let Some(text) = difference(wanted, found, Extent::Named) {
            return Err(format!("{key}{text}"));
        }
    }
    Ok(())
}

fn check_report(
    wanted: &ExpectedReport,
    reports: &[Tree],
    names: &HashMap<String, String>,
) -> Result<(), String> {
    let mut last = String::from("there is no report");
    for report in reports {
        match matches(wanted, report, names) {
            Ok(()) => return Ok(()),
            Err(text) => last = text,
        }
    }
    Err(format!("no report matches {wanted:?} (the last one: {last}): {}", list(reports)))
}

fn matches(wanted: &ExpectedReport, report: &Tree, names: &HashMap<String, String>) -> Result<(), String> {
    if let Some(members) = &wanted.members {
        check_members("report", members.get(), report)?;
    }
    let events = report.get("events").map(Tree::elements).unwrap_or_default();
    for (name, wanted) in &wanted.events {
        let found = events.iter().find(|event| {
            let uuid = event.get("uuid").and_then(Tree::text).unwrap_or_default();
            names.get(uuid) == Some(name)
        });
        let found = found.ok_or_else(|| format!("no event {name} in {report}"))?;
        check_members(name, wanted.get(), found)?;
    }
    Ok(())
}

fn list(reports: &[Tree]) -> String {
    reports.iter().map(Tree::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::http::{HeaderMap, Uri};
    use phc_sink::{IncomingRequest, Options};

    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::parse(text).unwrap()
    }

    #[test]
    fn a_report_is_found_by_the_names_of_its_events() {
        let names = HashMap::from([("u0".to_owned(), "b".to_owned()), ("u1".to_owned(), "a".to_owned())]);
        let reports = [
            tree(r#"{"status":503,"events":[]}"#),
            tree(r#"{"status":200,"events":[{"uuid":"u0"},{"uuid":"u1","outcome":"dropped"}]}"#),
        ];
        let check = |text: &str| check_report(&serde_json::from_str(text).unwrap(), &reports, &names);
        check(r#"{"is": {"status": 503}}"#).unwrap();
        check(r#"{"events": {"a": {"outcome": "dropped"}}}"#).unwrap();
        assert!(check(r#"{"is": {"status": 503}, "events": {"a": {}}}"#).is_err());
        let error = check(r#"{"events": {"a": {"outcome": "delivered"}}}"#).unwrap_err();
        assert!(error.contains(r#"a.outcome: expected "delivered", found "dropped""#), "{error}");
    }

    #[test]
    fn an_empty_object_in_the_body_of_a_flag_request_means_an_empty_one() {
        let body = tree(r#"{"groups":{},"group_properties":{"company":{"plan":"x","$group_key":"acme"}}}"#);
        let check = |wanted: &str| check_flag_body(wanted, &body);
        check(r#"{"groups": {}, "group_properties": {"company": {"plan": "x"}}}"#).unwrap();
        assert!(check(r#"{"groups": {"company": "acme"}}"#).is_err());
        assert!(check(r#"{"group_properties": {"company": {"plan": "y"}}}"#).is_err());
        let error = check(r#"{"group_properties": {}}"#).unwrap_err();
        assert!(error.starts_with("group_properties: expected {}, found"), "{error}");
        assert!(check(r#"{"geoip_disable": false}"#).is_err());
    }

    /// A namespace that has received these events, each in a request of its own: name and timestamp.
    fn received(events: &[(&str, &str)]) -> Namespace {
        let options = Options { api_key: None, max_body: 1 << 20, max_wire_body: 1 << 20 };
        let (headers, uri) = (HeaderMap::new(), Uri::from_static("/i/v1/analytics/events"));
        let mut namespace = Namespace::default();
        for (name, timestamp) in events {
            let event = format!(
                r#"{{"event":"{name}","uuid":"0190a5b4-7c3d-7abc-8def-0123456789ab","timestamp":"{timestamp}"}}"#
            );
            let body = format!(r#"{{"created_at":"2026-01-02T03:04:05Z","batch":[{event}]}}"#);
            let request =
                IncomingRequest { headers: &headers, uri: &uri, body: body.as_bytes(), connection: 1 };
            namespace.receive(&request, &options, Instant::now());
        }
        namespace
    }

    #[test]
    fn timestamps_are_compared_as_instants() {
        let namespace = received(&[
            ("a", "2026-01-02T03:04:05.000Z"),
            ("b", "2026-01-02T04:04:06.400+01:00"),
            ("a", "2026-01-02T03:04:05Z"),
            ("b", "2026-01-02T03:04:07.000Z"),
        ]);
        let apart =
            |at_least_ms| check_apart(&Apart { events: ["a".into(), "b".into()], at_least_ms }, &namespace);
        apart(1400).unwrap();
        assert_eq!(
            apart(1401).unwrap_err(),
            "the timestamp of b is 1400 ms after that of a, expected at least 1401"
        );
        let same = |name| check_same_timestamp(name, &timestamps(name, &namespace)?);
        same("a").unwrap();
        assert!(same("b").unwrap_err().starts_with("b has another timestamp when it is sent again"));
        assert_eq!(same("c").unwrap_err(), "no event c was received");
        let error = timestamps("a", &received(&[("a", "now")])).unwrap_err();
        assert_eq!(error, "the timestamp \"now\" is not an instant");
    }

    #[test]
    fn other_clients_are_held_to_the_number_of_lost_and_dropped_events() {
        let check = |wanted: &str, stats: &str| check_losses(&tree(wanted), &tree(stats)).is_ok();
        let wanted = r#"{"delivered": 1, "lost": {"dropped": 1, "transport": 1}}"#;
        assert!(check(wanted, r#"{"lost": {"dropped": 1, "rejected": 1}}"#));
        assert!(!check(wanted, r#"{"lost": {"transport": 2}}"#));
        assert!(!check(wanted, r#"{"lost": {"dropped": 1}}"#));
        assert!(check(wanted, r#"{"captured": 2}"#));
        assert!(!check(r#"{"lost": {}}"#, r#"{"lost": {"rejected": 1}}"#));
    }

    #[test]
    fn every_captured_event_is_delivered_lost_or_pending() {
        let sums = |text: &str| check_sums(&tree(text)).is_ok();
        assert!(sums(r#"{"captured":6,"delivered":3,"lost":{"dropped":1,"closed":1},"pending_events":1}"#));
        assert!(!sums(r#"{"captured":6,"delivered":3,"lost":{"dropped":1},"pending_events":1}"#));
    }
}
