//! DNS messages: the query for the addresses of a name, and what a response to it means.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use domain::base::iana::{Class, Rcode};
use domain::base::{Message, MessageBuilder, Name, Question, Rtype};
use domain::rdata::{A, Aaaa, Soa};

/// The size up to which a response is sent over UDP: what passes every network whole.
const UDP_PAYLOAD: u16 = 1232;

/// At most this many addresses of one kind are used.
const MAX_ADDRESSES: usize = 16;

/// A kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// A query, as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Query {
    message: Message<Vec<u8>>,
    family: Family,
}

/// A response to a query.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It ends the look-up of this name and family.
    Result(Records),
    /// It is too long for UDP.
    Truncated,
    /// The server does not understand the query, perhaps because of its EDNS.
    NotUnderstood,
    /// The server has no result, and says what is the matter.
    Failed(String),
}

/// What a name server says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Records {
    /// The addresses, perhaps none.
    pub(super) addresses: Vec<IpAddr>,
    /// How long that is true.
    pub(super) ttl: Duration,
    /// Whether the name exists.
    pub(super) exists: bool,
}

/// The name as it is on the wire; `None` if no name can be like that.
pub(super) fn wire_name(name: &str) -> Option<Name<Vec<u8>>> {
    if name.contains('\\') { None } else { Name::from_str(name).ok() }
}

impl Query {
    /// The query for the addresses of a name, with this number, and with EDNS or without.
    pub(super) fn new(name: &Name<Vec<u8>>, family: Family, id: u16, edns: bool) -> Option<Query> {
        let kind = match family {
            Family::V4 => Rtype::A,
            Family::V6 => Rtype::AAAA,
        };
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        question.push(Question::new(name, kind, Class::IN)).ok()?;
        let mut additional = question.additional();
        if edns {
            let sized = additional.opt(|opt| {
                opt.set_udp_payload_size(UDP_PAYLOAD);
                Ok(())
            });
            sized.ok()?;
        }
        Some(Query { message: additional.into_message(), family })
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// What these bytes mean; `None` if this is not a response to the query.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Reply> {
        let reply = Message::from_slice(bytes).ok()?;
        let header = reply.header();
        let rcode = header.rcode();
        let not_understood = matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP);
        if !reply.is_answer(&self.message) {
            // Such a response may be without the question.
            let is_ours = header.qr() && header.id() == self.message.header().id();
            let is_bare = reply.header_counts().qdcount() == 0;
            return (is_ours && is_bare && not_understood).then_some(Reply::NotUnderstood);
        }
        if header.tc() {
            return Some(Reply::Truncated);
        }
        Some(match rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN => self.result(reply, rcode == Rcode::NOERROR),
            _ if not_understood => Reply::NotUnderstood,
            Rcode::REFUSED => Reply::Failed("refuses to look it up (REFUSED)".to_owned()),
            Rcode::SERVFAIL => Reply::Failed("has failed to look it up (SERVFAIL)".to_owned()),
            other => Reply::Failed(format!("has failed to look it up ({other})")),
        })
    }

    fn result(&self, reply: &Message<[u8]>, exists: bool) -> Reply {
        let Some((addresses, ttl)) = self.addresses(reply) else {
            return Reply::Failed("has sent a broken response".to_owned());
        };
        if !addresses.is_empty() {
            return Reply::Result(Records { addresses, ttl, exists: true });
        }
        let negative = negative_ttl(reply);
        let header = reply.header();
        // Such a server knows neither the name nor one that does.
        if exists && negative.is_none() && !header.ra() && !header.aa() {
            return Reply::Failed("does not look up names for others".to_owned());
        }
        Reply::Result(Records { addresses, ttl: negative.unwrap_or_default(), exists })
    }

    /// The addresses of the name at the end of the aliases, and for how long all of that
    /// is true.
    fn addresses(&self, reply: &Message<[u8]>) -> Option<(Vec<IpAddr>, Duration)> {
        let name = reply.canonical_name()?;
        let (_, section, ..) = reply.sections().ok()?;
        let mut ttl = u32::MAX;
        for record in section {
            ttl = ttl.min(seconds(record.ok()?.ttl().as_secs()));
        }
        let mut addresses = Vec::new();
        let mut add = |address: IpAddr| {
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        };
        match self.family {
            Family::V4 => {
                for record in section.limit_to_in::<A>().flatten().filter(|record| *record.owner() == name) {
                    add(record.data().addr().into());
                }
            }
            Family::V6 => {
                for record in section.limit_to_in::<Aaaa>().flatten().filter(|record| *record.owner() == name)
                {
                    add(record.data().addr().into());
                }
            }
        }
        Some((addresses, Duration::from_secs(ttl.into())))
    }
}

/// How long the absence of something is true: RFC 2308. Without a SOA no one has said.
fn negative_ttl(reply: &Message<[u8]>) -> Option<Duration> {
    let soa = reply.authority().ok()?.limit_to_in::<Soa<_>>().flatten().next()?;
    let ttl = seconds(soa.ttl().as_secs()).min(seconds(soa.data().minimum().as_secs()));
    Some(Duration::from_secs(ttl.into()))
}

/// A TTL with the highest bit set counts as zero: RFC 2181.
fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX.cast_unsigned() { 0 } else { ttl }
}

#[cfg(test)]
mod tests {
    use domain::base::{Serial, Ttl};
    use domain::rdata::Cname;

    use super::*;

    fn name(text: &str) -> Name<Vec<u8>> {
        wire_name(text).unwrap()
    }

    fn query(family: Family) -> Query {
        Query::new(&name("host.test"), family, 7, true).unwrap()
    }

    /// A response in which `fill` puts the section.
    fn reply(
        to: &Query,
        rcode: Rcode,
        fill: impl FnOnce(&mut domain::base::message_builder::AnswerBuilder<Vec<u8>>),
    ) -> Vec<u8> {
        let mut section = MessageBuilder::new_vec().start_answer(&to.message, rcode).unwrap();
        section.header_mut().set_ra(true);
        fill(&mut section);
        section.into_message().into_octets()
    }

    fn addresses(reply: Option<Reply>) -> (Vec<String>, u64) {
        let Some(Reply::Result(records)) = reply else { panic!("{reply:?}") };
        (records.addresses.iter().map(ToString::to_string).collect(), records.ttl.as_secs())
    }

    #[test]
    fn names_are_bounded_as_dns_bounds_them() {
        let long = |label: usize, labels: usize| vec!["a".repeat(label); labels].join(".");
        for (text, is_valid) in [
            ("host", true),
            ("a_b-c.example.", true),
            ("a..b", false),
            (".a", false),
            ("a\\.b", false),
            (&long(63, 3), true),
            (&long(64, 1), false),
            (&long(49, 5), true),
            (&long(50, 5), false),
        ] {
            assert_eq!(wire_name(text).is_some(), is_valid, "{text}");
        }
    }

    #[test]
    fn addresses_are_those_at_the_end_of_the_aliases() {
        let query = query(Family::V4);
        let bytes = reply(&query, Rcode::NOERROR, |section| {
            section.push((name("host.test"), 60, Cname::new(name("alias.test")))).unwrap();
            section.push((name("alias.test"), 20, A::from_octets(10, 0, 0, 1))).unwrap();
            section.push((name("alias.test"), 30, A::from_octets(10, 0, 0, 2))).unwrap();
            section.push((name("alias.test"), 30, A::from_octets(10, 0, 0, 2))).unwrap();
            section.push((name("other.test"), 40, A::from_octets(10, 0, 0, 3))).unwrap();
        });
        assert_eq!(addresses(query.read(&bytes)), (vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()], 20));
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let query = query(Family::V4);
        let bytes = reply(&query, Rcode::NOERROR, |section| {
            section.push((name("host.test"), 60, Cname::new(name("alias.test")))).unwrap();
            section.push((name("alias.test"), 60, Cname::new(name("host.test")))).unwrap();
        });
        assert!(matches!(query.read(&bytes), Some(Reply::Failed(_))));
    }

    #[test]
    fn what_is_no_response_to_the_query_is_ignored() {
        let query = query(Family::V4);
        let fill = |section: &mut domain::base::message_builder::AnswerBuilder<Vec<u8>>| {
            section.push((name("host.test"), 60, A::from_octets(10, 0, 0, 1))).unwrap();
        };
        let good = reply(&query, Rcode::NOERROR, fill);
        assert!(query.read(&good).is_some());
        let of = |text: &str, family, id| Query::new(&name(text), family, id, true).unwrap();
        for other in
            [of("host.test", Family::V4, 8), of("host.test", Family::V6, 7), of("else.test", Family::V4, 7)]
        {
            assert_eq!(query.read(&reply(&other, Rcode::NOERROR, fill)), None);
        }
        assert_eq!(query.read(query.bytes()), None, "its own query");
        for length in 0..12 {
            assert_eq!(query.read(&good[..length]), None);
        }
        for length in 12..good.len() {
            let read = query.read(&good[..length]);
            assert!(!matches!(read, Some(Reply::Result(_))), "{length}: {read:?}");
        }
    }

    #[test]
    fn errors_say_what_the_server_said() {
        let query = query(Family::V6);
        let read = |rcode| query.read(&reply(&query, rcode, |_| ())).unwrap();
        for (rcode, part) in
            [(Rcode::SERVFAIL, "SERVFAIL"), (Rcode::REFUSED, "REFUSED"), (Rcode::NOTAUTH, "NOTAUTH")]
        {
            let Reply::Failed(text) = read(rcode) else { panic!("{rcode}") };
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(read(Rcode::FORMERR), Reply::NotUnderstood);
        let mut bare = MessageBuilder::new_vec();
        bare.header_mut().set_id(7);
        bare.header_mut().set_qr(true);
        bare.header_mut().set_rcode(Rcode::FORMERR);
        assert_eq!(query.read(bare.as_slice()), Some(Reply::NotUnderstood));
    }

    #[test]
    fn the_absence_of_a_name_lasts_as_long_as_the_zone_says() {
        let query = query(Family::V6);
        for (rcode, exists) in [(Rcode::NXDOMAIN, false), (Rcode::NOERROR, true)] {
            for (ttl, minimum, expected) in [(60, 300, 60), (300, 60, 60), (u32::MAX, 60, 0)] {
                let mut section = MessageBuilder::new_vec().start_answer(&query.message, rcode).unwrap();
                section.header_mut().set_ra(true);
                let mut authority = section.authority();
                let [zero, minimum] = [0, minimum].map(Ttl::from_secs);
                let soa = Soa::new(name("ns.test"), name("me.test"), Serial(1), zero, zero, zero, minimum);
                authority.push((name("test"), ttl, soa)).unwrap();
                let bytes = authority.into_message().into_octets();
                let expected = Records { addresses: Vec::new(), ttl: Duration::from_secs(expected), exists };
                assert_eq!(query.read(&bytes), Some(Reply::Result(expected)));
            }
            let unsaid = Records { addresses: Vec::new(), ttl: Duration::ZERO, exists };
            assert_eq!(query.read(&reply(&query, rcode, |_| ())), Some(Reply::Result(unsaid)));
        }
        // A server that only knows its own zones.
        let lame = MessageBuilder::new_vec().start_answer(&query.message, Rcode::NOERROR).unwrap();
        assert!(matches!(query.read(lame.as_slice()), Some(Reply::Failed(_))));
    }
}
