//! docs/settings.md, made from the table of settings.

use std::fmt::Write as _;

use super::table::SETTINGS;

/// The text of docs/settings.md.
pub fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\n<!-- Generated from src/config/table.rs by `make docs`; edit that. -->\n\n\
         `phc_config_set(config, key, value)` takes every value as text, so that a binding built last year can\n\
         use a setting added today. If a value is not accepted, it returns `PHC_INVALID_SETTING`, changes nothing,\n\
         and `phc_last_error()` says why. `phc_config_get` returns the present value, and `phc_setting_at` lists all\n\
         settings except `header.<Name>`.\n\n\
         | key | type | default | accepted | what it does |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let (kind, accepted) = setting.accepted();
        let accepted = match kind {
            "word" | "bool" => {
                accepted.split(", ").map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            _ => accepted,
        };
        let default =
            if setting.default.is_empty() { "(empty)".to_owned() } else { format!("`{}`", setting.default) };
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {accepted} | {} |", setting.key, setting.doc);
    }
    page.push_str(
        "| `header.<Name>` | text | (none) | visible ASCII | An additional header in every request, for proxies \
         and tests. Setting it again replaces it. Headers that libphc itself sets are rejected. |\n\n\
         Keys ending in `_ms` are milliseconds, in `_bytes` bytes.\n",
    );
    page.push_str(CERTIFICATES);
    page
}

const CERTIFICATES: &str = "
## Certificates

The certificate of the server, and of an `https` proxy, is checked against the first of these that exists:

1. the file that `ca_file` names;
2. the first of these files that has a certificate: `/etc/ssl/certs/ca-certificates.crt`,
   `/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem`, `/etc/pki/tls/certs/ca-bundle.crt`, `/etc/ssl/ca-bundle.pem`,
   `/etc/pki/tls/cacert.pem`, `/etc/ssl/cert.pem`, `/usr/local/share/certs/ca-root-nss.crt`;
3. Mozilla's set, as it was when libphc was built.

On Windows the user's certificate store and Mozilla's set take the place of 2 and 3; [platforms.md](platforms.md#windows) has the
details.

The log says at the first request which one it is. What a library accepts as a file of certificates differs, so:

- A file is read as OpenSSL, and so curl, reads it: the sections `CERTIFICATE`, `X509 CERTIFICATE` and
  `TRUSTED CERTIFICATE` (with its trust settings) count. Keys, CRLs, other sections, text between the sections and a byte
  order mark are ignored, and any line endings will do. One certificate in DER form is accepted, too. A directory is not.
- A damaged section of `ca_file` is an error when the client is made, as with curl; the error names it. A certificate
  that is whole but cannot be used is left out, with a warning in the log.
- A damaged section of the platform's file is left out, with a warning in the log that names the file, the section and
  the reason. So is a file that is there but cannot be read.

`client_cert_file` and `client_key_file` name the certificate that this client shows to a server that requires one
(mutual TLS), and its key: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519, as PKCS#8, PKCS#1 or SEC1,
in PEM form and without a passphrase (`openssl pkey -in key.pem -out plain.pem` removes it). Both may be in one file. The
certificate is also shown through a proxy, inside the tunnel; an `https` proxy that requires one itself gets the same.
A key that does not belong to the certificate, and files that cannot be read, are errors when the client is made. The files
are read again at the first request of each process, so they must stay readable.

## The environment

libphc reads no environment variable. The packages for Go, Ruby and PHP read those that programs in their language expect,
when a client is made, and pass them on as settings. A setting that the program gives has precedence.

| variable | setting |
|---|---|
| `http_proxy`, `https_proxy`, `no_proxy`, also in capitals (PHP: not `HTTP_PROXY`, and `all_proxy` too) | `proxy` |
| `SSL_CERT_FILE`, if the file exists (PHP: `CURL_CA_BUNDLE` and the settings of `php.ini` before it) | `ca_file` |

Each package chooses as the HTTP client of its language does; its README has the details. No package reads `SSL_CERT_DIR`.
";
