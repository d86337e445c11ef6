//! What an error of TLS means to the user, and what to do next.
//!
//! The layers above wrap rustls's error several times, partly in errors of I/O, so it is
//! searched for along the causes.

use std::error::Error;
use std::io;

use rustls::CertificateError as Certificate;
use rustls::Error as Tls;
use rustls::{AlertDescription as Alert, InvalidMessage, PeerIncompatible};

/// What a server's refusal means.
const ALERTS: [(Alert, &str); 14] = [
    (Alert::ProtocolVersion, OLD_VERSION),
    (Alert::InsufficientSecurity, NOTHING_IN_COMMON),
    (
        Alert::HandshakeFailure,
        "the server refused the TLS handshake: it has no cipher or version in common with this client (TLS 1.2 or \
         1.3 with forward secrecy), or it requires a client certificate; for that, set client_cert_file",
    ),
    (
        Alert::CertificateRequired,
        "client certificate required: the server accepts only clients that show one; set client_cert_file",
    ),
    (Alert::NoCertificate, BAD_CLIENT_CERTIFICATE),
    (Alert::BadCertificate, BAD_CLIENT_CERTIFICATE),
    (Alert::UnsupportedCertificate, BAD_CLIENT_CERTIFICATE),
    (Alert::CertificateUnknown, BAD_CLIENT_CERTIFICATE),
    (Alert::DecryptError, BAD_CLIENT_CERTIFICATE),
    (Alert::AccessDenied, BAD_CLIENT_CERTIFICATE),
    (
        Alert::CertificateRevoked,
        "the server refused the client certificate: it is revoked; get a new one for client_cert_file",
    ),
    (
        Alert::CertificateExpired,
        "the server refused the client certificate: it is expired or not yet valid; get a new one for \
         client_cert_file, or check the clocks of both machines",
    ),
    (
        Alert::UnknownCA,
        "the server refused the client certificate: it does not know the authority that signed it; client_cert_file \
         must have one of an authority that the server trusts, with the intermediate certificates after it",
    ),
    (
        Alert::UnrecognisedName,
        "the server has no certificate for this name; check `host`, which must be a name that the server serves",
    ),
];

const OLD_VERSION: &str = "the server speaks only old versions of TLS; this client requires TLS 1.2 or 1.3, which \
                           the server, or a proxy before it, must offer";
const NOTHING_IN_COMMON: &str = "the server and this client have no TLS cipher in common; the server must offer one \
                                 with forward secrecy and authenticated encryption, such as ECDHE with AES-GCM";
const BAD_CLIENT_CERTIFICATE: &str = "the server refused the client certificate, or the lack of one; check \
                                      client_cert_file and client_key_file";
const NOT_TLS: &str =
    "not TLS: the server did not reply with TLS; if it expects plain HTTP, use http:// in `host`";
const UNKNOWN_ISSUER: &str = "unknown issuer: the server's certificate is not signed by an authority that is trusted \
                              here (one that is self-signed is its own authority); if it should be, set ca_file to \
                              the authority's certificate";
const SELF_SIGNED: &str = "self-signed: the server presents a certificate that is meant for signing others; give it \
                           one for its host name, and set ca_file to the certificate that signed it";
const BAD_SIGNATURE: &str = "bad signature: the server's key is one of RSA with less than 2048 bits, which is not \
                             supported; or the certificate was not signed by the authority that it names: if the \
                             authority has been renewed, set ca_file to its present certificate";
const WRONG_HOST: &str = "wrong host: the server's certificate is for other names (only those in its subjectAltName count); check `host`";
const EXPIRED: &str = "expired: the server's certificate is no longer valid; check the machine's clock";
const NOT_YET_VALID: &str =
    "not valid yet: the server's certificate becomes valid later; check the machine's clock";
const UNUSABLE: &str = "the server's certificate cannot be checked: it is not made for servers of TLS, or in a way \
                        that is not supported here; the server needs another one";

/// Returns what an error means, if it comes from TLS and its meaning is known.
pub(in crate::transport) fn meaning(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match tls_error(error)? {
        Tls::AlertReceived(alert) => ALERTS.iter().find(|(known, _)| known == alert).map(|(_, words)| *words),
        Tls::InvalidCertificate(error) => Some(of_certificate(error)),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => Some(NOT_TLS),
        Tls::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Some(OLD_VERSION),
        Tls::PeerIncompatible(_) => Some(NOTHING_IN_COMMON),
        _ => None,
    }
}

/// Whether the server refused this client in the handshake. With TLS 1.3 that may come
/// after the request was sent, which the server then has not read.
pub(in crate::transport) fn handshake_was_refused(error: &(dyn Error + 'static)) -> bool {
    let Some(Tls::AlertReceived(alert)) = tls_error(error) else { return false };
    ALERTS.iter().any(|(known, _)| known == alert)
}

fn of_certificate(error: &Certificate) -> &'static str {
    match error {
        Certificate::UnknownIssuer => UNKNOWN_ISSUER,
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => WRONG_HOST,
        Certificate::Expired | Certificate::ExpiredContext { .. } => EXPIRED,
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => NOT_YET_VALID,
        // webpki's own errors can only be distinguished by their text.
        Certificate::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => SELF_SIGNED,
        Certificate::BadSignature => BAD_SIGNATURE,
        _ => UNUSABLE,
    }
}

/// The error of TLS among the causes of an error.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Tls> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An error of I/O has what it wraps as its content, not as its cause.
        let content = error.downcast_ref().and_then(io::Error::get_ref);
        next = content.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_behind_those_that_wrap_it() {
        let wrap = |error: Tls| io::Error::other(io::Error::other(error));
        let of = |error: Tls| meaning(&wrap(error));
        assert!(of(Tls::AlertReceived(Alert::ProtocolVersion)).is_some_and(|text| text.contains("TLS 1.2")));
        assert!(handshake_was_refused(&wrap(Tls::AlertReceived(Alert::CertificateRequired))));
        for other in [Tls::AlertReceived(Alert::InternalError), Tls::DecryptError] {
            assert!(!handshake_was_refused(&wrap(other.clone())));
            assert_eq!(of(other), None);
        }
        assert_eq!(meaning(&io::Error::other("no TLS")), None);
    }
}
