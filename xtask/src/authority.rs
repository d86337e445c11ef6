//! Certificates, made by openssl for a run of tests.

use std::path::Path;

use crate::process::{Outcome, TempFolder, command, quietly, words, write};

pub(crate) const NOW: &str = "20260101000000Z";
pub(crate) const LATER: &str = "20490101000000Z";

/// Certificates by openssl.
pub(crate) struct Authority<'a>(pub &'a TempFolder);

impl Authority<'_> {
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A key and a certificate that signs itself.
    pub(crate) fn self_signed(&self, name: &str, subject: &str, extensions: &[&str]) -> Outcome<()> {
        let mut request =
            command(words("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"));
        request.args([
            "-keyout",
            &self.path(&format!("{name}.key")),
            "-out",
            &self.path(&format!("{name}.pem")),
        ]);
        request.args(["-subj", &format!("/CN={subject}")]);
        for extension in extensions {
            request.args(["-addext", extension]);
        }
        quietly(&mut request).map(|_| ())
    }

    /// An authority of its own.
    pub(crate) fn authority(&self, name: &str) -> Outcome<()> {
        self.self_signed(name, name, &["basicConstraints=critical,CA:TRUE"])
    }

    /// A certificate for these subject alternative names, signed by the authority `ca`.
    pub(crate) fn issue(&self, name: &str, names: &str, from: &str, to: &str) -> Outcome<()> {
        self.issue_for(name, "ec -pkeyopt ec_paramgen_curve:P-256", names, from, to)
    }

    /// The same for a key of another kind.
    pub(crate) fn issue_for(
        &self,
        name: &str,
        key_kind: &str,
        names: &str,
        from: &str,
        to: &str,
    ) -> Outcome<()> {
        let (issued, config) = (self.path("issued"), self.path("issued/config"));
        std::fs::create_dir_all(&issued)?;
        let index = self.0.join("issued/index.txt");
        if !index.exists() {
            write(&index, "")?;
        }
        write(
            Path::new(&config),
            format!(
                "[ca]\ndefault_ca = own\n[own]\ndatabase = {issued}/index.txt\nserial = {issued}/serial\n\
                 unique_subject = no\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
            ),
        )?;
        let [key, request, extensions, certificate] =
            ["key", "csr", "ext", "pem"].map(|ending| self.path(&format!("{name}.{ending}")));
        let mut make = command(words(&format!("openssl req -newkey {key_kind} -nodes")));
        quietly(make.args(["-keyout", &key, "-out", &request, "-subj", &format!("/CN={name}")]))?;
        write(Path::new(&extensions), format!("subjectAltName={names}\n"))?;
        let mut sign = command(words("openssl ca -batch -create_serial -notext"));
        sign.args(["-config", &config, "-cert", &self.path("ca.pem"), "-keyfile", &self.path("ca.key")]);
        sign.args([
            "-outdir",
            &issued,
            "-in",
            &request,
            "-out",
            &certificate,
            "-startdate",
            from,
            "-enddate",
            to,
        ]);
        quietly(sign.args(["-extfile", &extensions])).map(|_| ())
    }

    /// A certificate revocation list of the authority `ca`, which has issued a certificate before.
    pub(crate) fn revocation_list(&self, name: &str) -> Outcome<()> {
        let mut make = command(words("openssl ca -gencrl -crldays 30"));
        make.args(["-config", &self.path("issued/config"), "-out", &self.path(name)]);
        quietly(make.args(["-cert", &self.path("ca.pem"), "-keyfile", &self.path("ca.key")])).map(|_| ())
    }

    /// Runs openssl in the folder.
    pub(crate) fn openssl(&self, arguments: &str) -> Outcome<()> {
        quietly(command(words(&format!("openssl {arguments}"))).current_dir(self.0.path())).map(|_| ())
    }
}
