//! Shortage on this machine, as an attempt meets it: no descriptor, memory, port, thread or
//! randomness for a connection. It says nothing about the server, and nothing was sent.

use std::error::Error;
use std::io;

use crate::runtime::SHORTAGES;

/// What this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shortage {
    /// For people.
    pub(super) message: String,
    /// Whether connections that are closed help.
    pub(super) of_descriptors: bool,
    /// Whether it is not a shortage where this machine has no address to reach the host from.
    pub(super) of_addresses: bool,
}

/// How an error of the system ends as a text.
const NUMBER: &str = "(os error ";

/// The shortage behind an error in the making of a connection, if there is one.
pub(super) fn of_error(error: &(dyn Error + 'static)) -> Option<Shortage> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(shortage) = of_one(error) {
            return Some(shortage);
        }
        next = error.source();
    }
    None
}

/// The same for an error of which only the text is left.
pub(super) fn of_text(text: &str) -> Option<Shortage> {
    let (_, number) = text.rsplit_once(NUMBER)?;
    of_number(number.split_once(')')?.0.parse().ok()?)
}

/// Looks at one error, and at what it wraps without calling it its source.
fn of_one(error: &(dyn Error + 'static)) -> Option<Shortage> {
    if let Some(rustls::Error::FailedToGetRandomBytes) = error.downcast_ref() {
        let message = "the system has no randomness for a TLS connection".to_owned();
        return Some(Shortage { message, of_descriptors: false, of_addresses: false });
    }
    let error = error.downcast_ref::<io::Error>()?;
    match error.raw_os_error() {
        Some(number) => of_number(number),
        None => of_one(error.get_ref()?),
    }
}

fn of_number(number: i32) -> Option<Shortage> {
    let known = SHORTAGES.iter().find(|known| known.number == number)?;
    let message = format!("{} ({})", known.meaning, known.name);
    Some(Shortage { message, of_descriptors: known.of_descriptors, of_addresses: known.of_addresses })
}

/// The shortage behind an error in the making of a connection to a host. `has_source` says whether this machine has an
/// address to reach it from: one without IPv6 has the same error for an address of IPv6 as one without free ports.
pub(super) fn of_connecting(
    error: &(dyn Error + 'static),
    has_source: impl FnOnce() -> bool,
) -> Option<Shortage> {
    of_error(error).filter(|shortage| !shortage.of_addresses || has_source())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with a cause, as each layer adds one.
    #[derive(Debug)]
    struct Layer(Box<dyn Error + Send + Sync>);

    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a layer")
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn each_shortage_is_found_however_deep_it_is() {
        for known in SHORTAGES {
            let system = || io::Error::from_raw_os_error(known.number);
            let wrapped = io::Error::other(io::Error::other(system()));
            let layers = Layer(Box::new(Layer(Box::new(wrapped))));
            let text = format!("ca_file \"x\": {}", system());
            for found in [of_error(&system()), of_error(&layers), of_text(&text)] {
                let found = found.unwrap();
                assert!(found.message.ends_with(&format!("({})", known.name)), "{found:?}");
                assert_eq!(found.of_descriptors, matches!(known.name, "EMFILE" | "ENFILE"));
            }
        }
        let random = io::Error::other(rustls::Error::FailedToGetRandomBytes);
        assert!(of_error(&Layer(Box::new(random))).unwrap().message.contains("randomness"));
    }

    #[test]
    fn an_address_that_is_lacking_is_none_where_there_is_no_way_to_the_host() {
        let system = |number| Layer(Box::new(io::Error::from_raw_os_error(number)));
        let of = |number, has_source| of_connecting(&system(number), || has_source).is_some();
        assert!(of(libc::EADDRNOTAVAIL, true) && !of(libc::EADDRNOTAVAIL, false));
        assert!(of(libc::EMFILE, true) && of(libc::EMFILE, false));
    }

    #[test]
    fn what_the_server_or_the_network_does_is_none() {
        for number in [libc::ECONNREFUSED, libc::ECONNRESET, libc::ENETUNREACH, libc::ETIMEDOUT, libc::EACCES]
        {
            let system = || io::Error::from_raw_os_error(number);
            assert_eq!(of_error(&Layer(Box::new(system()))), None);
            assert_eq!(of_text(&system().to_string()), None);
        }
        assert_eq!(of_text("(os error 24"), None);
        assert_eq!(of_error(&Layer("(os error 24)".into())), None);
    }
}
