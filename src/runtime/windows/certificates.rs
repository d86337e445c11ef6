//! The certificates of authorities that Windows trusts for the user of this process. Those that
//! an administrator or a group policy has added are among them.

use std::io;

use schannel::cert_context::{CertContext, ValidUses};
use schannel::cert_store::CertStore;

use crate::runtime::CertificateStore;

/// The purpose of a certificate of a TLS server.
const SERVER: &str = "1.3.6.1.5.5.7.3.1";

/// The certificates of authorities in a store other than a file.
pub(crate) fn certificate_store() -> Option<io::Result<CertificateStore>> {
    Some(read())
}

fn read() -> io::Result<CertificateStore> {
    Ok(CertificateStore {
        name: "the certificate store of Windows",
        trusted: of_store("ROOT", is_for_servers)?,
        distrusted: of_store("Disallowed", |_| true)?,
    })
}

fn of_store(name: &str, wanted: fn(&CertContext) -> bool) -> io::Result<Vec<Vec<u8>>> {
    let store = CertStore::open_current_user(name)?;
    Ok(store.certs().filter(wanted).map(|certificate| certificate.to_der().to_vec()).collect())
}

/// Whether Windows would accept it for a server today.
fn is_for_servers(certificate: &CertContext) -> bool {
    let for_servers = match certificate.valid_uses() {
        Ok(ValidUses::All) => true,
        Ok(ValidUses::Oids(uses)) => uses.iter().any(|purpose| purpose == SERVER),
        Err(_) => false,
    };
    for_servers && certificate.is_time_valid().unwrap_or(false)
}
