//! The TLS handshake, by the configuration of an attempt, and the certificates that the server presents, also where
//! these are refused.

use std::io;
use std::sync::Arc;

use phc::internals::Config;
use phc::internals::tool::{tls_config, tls_meaning};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::route::Connection;
use super::{Report, Step, certificates, line};

type TlsStream = StreamOwned<ClientConnection, Connection>;

/// Makes the handshake, and lists the certificates. `again` makes another connection: after a handshake that was
/// refused here, the certificates are read from one on which nothing is sent.
pub(super) fn step(
    config: &Config,
    host: &str,
    stream: Connection,
    again: impl FnOnce() -> Step<Connection>,
    report: &mut Report,
) -> Option<Connection> {
    let mut notes = Vec::new();
    let made = report.step("tls", || {
        let (client, source, warnings) = tls_config(config)?;
        notes = warnings;
        let stream = handshake(client, host, stream).map_err(|error| explain(&error))?;
        let version = stream.conn.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let suite = stream.conn.negotiated_cipher_suite().map(|suite| suite.suite());
        let suite = suite.and_then(|suite| suite.as_str()).unwrap_or("an unknown cipher");
        let text = format!("{}, {suite}; checked against {source}", version.replace("TLSv1_", "TLS 1."));
        Ok((stream, text))
    });
    for note in &notes {
        line("", "", note);
    }
    let chain = match &made {
        Some(stream) => stream.conn.peer_certificates().map(<[_]>::to_vec),
        None => again().ok().and_then(|stream| presented(host, stream)),
    };
    for certificate in certificates::lines(&chain.unwrap_or_default()) {
        line("", "", &certificate);
    }
    made.map(|stream| Box::new(stream) as Connection)
}

/// Makes the handshake with a proxy.
pub(super) fn open(config: &Config, host: &str, stream: Connection) -> Step<Connection> {
    let (client, _, _) = tls_config(config)?;
    let stream = handshake(client, host, stream).map_err(|error| explain(&error))?;
    Ok(Box::new(stream))
}

fn handshake(config: ClientConfig, host: &str, mut stream: Connection) -> io::Result<TlsStream> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

fn explain(error: &io::Error) -> String {
    if let Some(meaning) = tls_meaning(error) {
        return format!("{meaning} ({error})");
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            format!("the connection ended during the handshake; if the server expects plain HTTP, use http:// in --host ({error})")
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "no response to the handshake: something before the server accepts connections and does not pass them on"
                .to_owned()
        }
        _ => format!("{error}: check --host, and whether something before the server ends TLS itself"),
    }
}

/// The certificates of a server whose handshake is refused.
fn presented(host: &str, mut stream: Connection) -> Option<Vec<CertificateDer<'static>>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptsAll { schemes }))
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    while connection.is_handshaking() {
        if connection.complete_io(&mut stream).is_err() {
            break;
        }
    }
    connection.peer_certificates().map(<[_]>::to_vec)
}

/// Accepts every certificate: only for a connection on which nothing is sent.
#[derive(Debug)]
struct AcceptsAll {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AcceptsAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
