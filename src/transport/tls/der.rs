//! The little of DER that has to be known to take a certificate out of a file: where it
//! ends, and what OpenSSL writes after it in a `TRUSTED CERTIFICATE`.

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
/// `reject [0]` of the trust settings.
const REJECTED: u8 = 0xa0;

/// The object identifiers of a server of TLS (`serverAuth`), and of any purpose.
const SERVER: [&[u8]; 2] = [b"\x2b\x06\x01\x05\x05\x07\x03\x01", b"\x55\x1d\x25\x00"];

/// One element.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// What follows it.
    rest: &'a [u8],
}

/// Returns the first element, if it is whole.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = if first < 0x80 {
        (usize::from(first), bytes)
    } else {
        // Four bytes are enough for any file that is read.
        let (length, bytes) =
            bytes.split_at_checked(usize::from(first & 0x7f)).filter(|(length, _)| length.len() <= 4)?;
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), bytes)
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some(Element { tag, content, rest })
}

/// The elements one after the other, up to the first that is not whole.
fn elements(bytes: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let next = element(rest)?;
        rest = next.rest;
        Some(next)
    })
}

/// Returns the certificate with which the bytes begin, and what follows it.
pub(super) fn certificate(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let whole = element(bytes).filter(|element| element.tag == SEQUENCE)?;
    let tags: Vec<u8> = elements(whole.content).map(|element| element.tag).collect();
    // What is signed, the algorithm, and the signature.
    (tags == [SEQUENCE, SEQUENCE, BIT_STRING]).then(|| bytes.split_at(bytes.len() - whole.rest.len()))
}

/// Whether OpenSSL's trust settings allow a certificate to sign those of servers: the
/// purpose is not among the rejected ones, and is among the trusted ones if there are any.
pub(super) fn is_trusted_for_servers(settings: &[u8]) -> bool {
    let is_server = |list: &[u8]| {
        elements(list).any(|purpose| purpose.tag == OBJECT && SERVER.contains(&purpose.content))
    };
    let Some(settings) = element(settings) else { return true };
    let list = |tag| elements(settings.content).find(|element| element.tag == tag).map(|list| list.content);
    !list(REJECTED).is_some_and(is_server) && list(SEQUENCE).is_none_or(is_server)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &[u8] = b"\x30\x06\x30\x00\x30\x00\x03\x00";

    #[test]
    fn a_certificate_is_the_first_element() {
        for after in [&b""[..], b"\x30\x00", b"xx"] {
            assert_eq!(certificate(&[LEAST, after].concat()), Some((LEAST, after)));
        }
        let long = [b"\x30\x82\x00\x86\x30\x82\x00\x00\x30\x00\x03\x7e".as_slice(), &[0; 126]].concat();
        assert_eq!(certificate(&long), Some((&*long, &b""[..])));
        for other in [
            &b""[..],
            b"\x30",
            b"\x30\x00",
            b"\x30\x06\x30\x00\x30\x00\x03",
            b"\x31\x06\x30\x00\x30\x00\x03\x00",
            b"\x30\x04\x30\x00\x30\x00",
            b"\x30\x85\x00\x00\x00\x00\x06\x30\x00\x30\x00\x03\x00",
            b"\x30\x84\xff\xff\xff\xff\x30\x00",
            b"\x30\xff",
        ] {
            assert_eq!(certificate(other), None, "{other:?}");
        }
    }

    #[test]
    fn trust_settings_are_kept() {
        const SERVER: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
        const MAIL: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x04";
        const ANY: &[u8] = b"\x06\x04\x55\x1d\x25\x00";
        let list = |tag: u8, purposes: &[&[u8]]| {
            let content = purposes.concat();
            [&[tag, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
        };
        let settings = |lists: &[Vec<u8>]| list(0x30, &lists.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for (trusted, text) in [
            (true, vec![]),
            (true, settings(&[])),
            (true, settings(&[list(0x0c, &[b"alias"])])),
            (true, settings(&[list(0x30, &[MAIL, SERVER])])),
            (true, settings(&[list(0x30, &[ANY])])),
            (true, settings(&[list(0xa0, &[MAIL])])),
            (false, settings(&[list(0x30, &[MAIL])])),
            (false, settings(&[list(0xa0, &[MAIL, SERVER])])),
            (false, settings(&[list(0xa0, &[ANY])])),
            (false, settings(&[list(0x30, &[SERVER]), list(0xa0, &[SERVER])])),
        ] {
            assert_eq!(is_trusted_for_servers(&text), trusted, "{text:x?}");
        }
    }
}
