//! Servers that require a client certificate: the files of certificates and keys, and what a server says of them.

use std::path::Path;

use crate::authority::{Authority, LATER, NOW};
use crate::ca_files::{BEGIN, END, MARK};
use crate::network::{Expected, OneEvent};
use crate::process::{Outcome, write};

/// Makes certificates of clients, and their keys in several forms.
fn make_clients(test: &OneEvent) -> Outcome<()> {
    let with = Authority(&test.work);
    for (name, kind) in [
        ("p256", "ec -pkeyopt ec_paramgen_curve:P-256"),
        ("p384", "ec -pkeyopt ec_paramgen_curve:P-384"),
        ("p521", "ec -pkeyopt ec_paramgen_curve:P-521"),
        ("rsa", "rsa:2048"),
        ("ed25519", "ed25519"),
    ] {
        with.issue_for(name, kind, "DNS:client.example", NOW, LATER)?;
    }
    with.openssl("ec -in p256.key -out p256-sec1.key")?;
    with.openssl("rsa -in rsa.key -traditional -out rsa-pkcs1.key")?;
    with.openssl("pkey -in p256.key -aes128 -passout pass:x -out locked.key")?;
    with.openssl("rsa -in rsa.key -traditional -aes128 -passout pass:x -out rsa-locked.key")?;
    let read = |name: &str| std::fs::read_to_string(test.path(name));
    let (certificate, key, list) = (read("p256.pem")?, read("p256.key")?, read("list.pem")?);
    write(Path::new(&test.path("both.pem")), format!("{key}{certificate}"))?;
    write(
        Path::new(&test.path("windows.pem")),
        format!("{MARK}text\n{list}{certificate}{key}").replace('\n', "\r\n"),
    )?;
    write(Path::new(&test.path("broken.pem")), format!("{certificate}{BEGIN}!!!!\n{END}"))?;
    write(
        Path::new(&test.path("broken.key")),
        "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
    )?;
    // One whose issuer is signed by the authority.
    with.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=sub -CA ca.pem -CAkey ca.key \
         -addext basicConstraints=critical,CA:TRUE -keyout sub.key -out sub.pem",
    )?;
    with.openssl(
        "x509 -req -in p256.csr -CA sub.pem -CAkey sub.key -days 30 -extfile p256.ext -out below.pem",
    )?;
    write(Path::new(&test.path("chain.pem")), format!("{}{}", read("below.pem")?, read("sub.pem")?))
}

/// What it is, the file of the certificate, the file of the key, and what comes of it.
const FILES: [(&str, &str, &str, Expected<'static>); 23] = [
    ("a client certificate, ECDSA on P-256", "p256.pem", "p256.key", &["ok"]),
    ("SEC1", "p256.pem", "p256-sec1.key", &["ok"]),
    ("ECDSA on P-384", "p384.pem", "p384.key", &["ok"]),
    ("RSA", "rsa.pem", "rsa.key", &["ok"]),
    ("PKCS#1", "rsa.pem", "rsa-pkcs1.key", &["ok"]),
    ("Ed25519", "ed25519.pem", "ed25519.key", &["ok"]),
    ("an intermediate certificate", "chain.pem", "p256.key", &["ok"]),
    ("no intermediate certificate", "below.pem", "p256.key", &["lost_events", "authority", "intermediate"]),
    ("both in one file", "both.pem", "", &["ok"]),
    ("both in one file that is named twice", "both.pem", "both.pem", &["ok"]),
    ("as Windows writes it, among other sections", "windows.pem", "", &["ok"]),
    (
        "a key of a kind that is not supported",
        "p521.pem",
        "p521.key",
        &["client_key_file", "cannot be used", "P-256"],
    ),
    ("an encrypted key", "p256.pem", "locked.key", &["client_key_file", "encrypted", "openssl pkey -in"]),
    (
        "an encrypted key of PKCS#1",
        "rsa.pem",
        "rsa-locked.key",
        &["client_key_file", "encrypted", "openssl pkey -in"],
    ),
    (
        "a key of another certificate",
        "rsa.pem",
        "p256.key",
        &["client_key_file", "does not belong to", "rsa.pem"],
    ),
    ("a key that is not there", "p256.pem", "none.key", &["client_key_file", "none.key", "No such file"]),
    ("a file without a key", "p256.pem", "ca.pem", &["client_key_file", "no private key"]),
    (
        "a key that is damaged",
        "p256.pem",
        "broken.key",
        &["client_key_file", "section 1 (line 1)", "not base64"],
    ),
    ("no key at all", "p256.pem", "", &["client_cert_file", "no private key"]),
    (
        "no certificate in the file",
        "p256.key",
        "p256.key",
        &["client_cert_file", "no certificate, but a section"],
    ),
    (
        "a certificate that is not there",
        "none.pem",
        "p256.key",
        &["client_cert_file", "none.pem", "No such file"],
    ),
    ("a damaged section", "broken.pem", "p256.key", &["client_cert_file", "section 2 (line ", "not base64"]),
    ("a key without its certificate", "", "p256.key", &["client_key_file", "without client_cert_file"]),
];

/// The files of a client certificate and its key.
pub(crate) fn client_keys(test: &mut OneEvent) -> Outcome<()> {
    make_clients(test)?;
    let secret = read_body(&test.path("p256.key"))?;
    test.serve_tls_with("good", &["--tls-client-ca", &test.pem("ca")])?;
    let (url, ca) = (&test.url("https", "127.0.0.1"), &test.set("ca_file", "ca.pem"));
    for (what, certificate, key, expected) in FILES {
        let mut arguments = vec![url.clone(), ca.clone()];
        for (setting, file) in [("client_cert_file", certificate), ("client_key_file", key)] {
            if !file.is_empty() {
                arguments.push(test.set(setting, file));
            }
        }
        test.expect(what, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), expected)?;
        test.checks.that("it shows nothing of the key", !test.said.contains(&secret));
    }
    let key = &format!("client_key_file={}", std::fs::read_to_string(test.path("p256.key"))?);
    test.expect("a key in place of its path", &[url, ca, key], &["client_key_file", "the path of a file"])?;
    test.checks.that("it shows nothing of the key", !test.said.contains(&secret));
    // A proxy that requires a certificate gets the same.
    let proxy = &format!("proxy={url}");
    let certificate = &test.set("client_cert_file", "both.pem");
    test.expect(
        "a proxy that requires a client certificate",
        &["http://events.example", proxy, ca, certificate],
        &["ok"],
    )
}

/// The first line of what a PEM file with one section holds.
fn read_body(file: &str) -> Outcome<String> {
    Ok(std::fs::read_to_string(file)?.lines().nth(1).unwrap_or_default().to_owned())
}

/// What a server says of a client certificate, or of the lack of one.
pub(crate) fn client_certificates(test: &mut OneEvent) -> Outcome<()> {
    let with = Authority(&test.work);
    with.issue("expired-client", "DNS:client.example", "20200101000000Z", "20210101000000Z")?;
    let ca = &test.set("ca_file", "ca.pem");
    let own = &test.set("client_cert_file", "both.pem");
    let (expired, key) = (
        &test.set("client_cert_file", "expired-client.pem"),
        &test.set("client_key_file", "expired-client.key"),
    );
    for (what, authority, arguments, expected) in [
        (
            "no client certificate",
            "ca",
            vec![],
            &["lost_events", "client certificate required: ", "set client_cert_file"],
        ),
        (
            "a client certificate of another authority",
            "other-ca",
            vec![own],
            &["lost_events", "refused the client certificate", "authority"],
        ),
        (
            "an expired client certificate",
            "ca",
            vec![expired, key],
            &["lost_events", "refused the client certificate", "expired"],
        ),
    ] {
        test.serve_tls_with("good", &["--tls-client-ca", &test.pem(authority)])?;
        let url = test.url("https", "127.0.0.1");
        let arguments: Vec<&str> = [&url, ca].into_iter().chain(arguments).map(String::as_str).collect();
        test.expect(what, &arguments, expected)?;
        test.checks.that("nothing can have been delivered", test.said.contains("maybe_delivered=0"));
    }
    Ok(())
}
