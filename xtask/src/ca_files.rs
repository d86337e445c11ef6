//! The files of the certificates that are trusted: how they may be written, what is said of damaged ones, and those
//! of the platform. What curl makes of the same file is looked at as well.

use std::path::Path;

use crate::authority::Authority;
use crate::network::{Expected, OneEvent};
use crate::process::{Outcome, command, said, write};

/// Where a machine keeps the roots that it trusts.
const PLATFORM: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The same on another platform, in a folder that both have.
const OTHER_PLATFORM: &str = "/etc/ssl/ca-bundle.pem";

/// What is wrong with ca_file is reported when the client is made.
pub(crate) fn ca_files(test: &mut OneEvent) -> Outcome<()> {
    test.serve_tls("good")?;
    let url = &test.url("https", "127.0.0.1");
    let none = &test.set("ca_file", "none.pem");
    test.expect("a CA file that is not there", &[url, none], &["ca_file", "No such file"])?;
    let folder = &test.set("ca_file", "issued");
    test.expect("a folder of CA files", &[url, folder], &["ca_file", "it is a directory", "one file"])?;
    let gone = &test.set("ca_file", "gone.pem");
    for (what, vanish, status) in [
        ("a CA file that is gone at the first capture", "vanish=new", "invalid_setting"),
        ("a CA file that is gone at the first request", "vanish=capture", "lost_events"),
    ] {
        std::fs::copy(test.pem("ca"), test.pem("gone"))?;
        test.expect(what, &[url, gone, vanish], &[status, "gone.pem", "No such file"])?;
    }
    Ok(())
}

pub(crate) const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
pub(crate) const END: &str = "-----END CERTIFICATE-----\n";
pub(crate) const MARK: &str = "\u{feff}";
const OK: Expected<'static> = &["ok", "checked against ca_file"];
const NO_LINE: Expected<'static> = &["ca_file", "each BEGIN line and END line must be a line of its own"];

/// A way in which a file of authorities can be written.
struct Format {
    what: &'static str,
    content: Vec<u8>,
    /// Whether curl accepts the server with it.
    curl: bool,
    expected: Expected<'static>,
}

/// What the files are made of.
struct Parts<'a> {
    test: &'a OneEvent,
    /// Two authorities, of which the first has signed the server's certificate.
    ca: String,
    other: String,
    key: String,
    /// What is in the section of `ca`.
    body: String,
}

impl<'a> Parts<'a> {
    fn new(test: &'a OneEvent) -> Outcome<Self> {
        let read = |name: &str| std::fs::read_to_string(test.path(name));
        let (ca, other, key) = (read("ca.pem")?, read("other-ca.pem")?, read("ca.key")?);
        let body = ca.replace(BEGIN, "").replace(END, "");
        Ok(Self { test, ca, other, key, body })
    }

    /// What openssl writes with these arguments.
    fn openssl(&self, arguments: &str) -> Outcome<Vec<u8>> {
        let output = "made-by-openssl";
        Authority(&self.test.work).openssl(&format!("{arguments} -out {output}"))?;
        Ok(std::fs::read(self.test.path(output))?)
    }

    fn openssl_text(&self, arguments: &str) -> Outcome<String> {
        Ok(String::from_utf8(self.openssl(arguments)?)?)
    }
}

fn section(text: &str) -> String {
    format!("{BEGIN}{text}\n{END}")
}

/// How files of authorities may be written: as curl (with OpenSSL) reads them, and a little more.
pub(crate) fn formats(test: &mut OneEvent) -> Outcome<()> {
    test.serve_tls("good")?;
    let url = &test.url("https", "127.0.0.1");
    let parts = Parts::new(test)?;
    let all = [legal(&parts)?, damaged(&parts), more_than_curl(&parts)?, trust_settings(&parts)?]
        .into_iter()
        .flatten();
    for format in all.collect::<Vec<_>>() {
        let file = test.path("format.pem");
        write(Path::new(&file), &format.content)?;
        test.expect(format.what, &[url, &format!("ca_file={file}")], format.expected)?;
        let mut curl = command(["curl", "--silent", "--max-time", "30", "--cacert", &file]);
        let accepted = said(curl.arg(format!("{url}/_health")))?.0;
        test.checks.that(
            &format!("{}: curl {}", format.what, if format.curl { "reads it" } else { "does not" }),
            accepted == format.curl,
        );
    }
    Ok(())
}

/// What curl reads as well.
fn legal(parts: &Parts<'_>) -> Outcome<Vec<Format>> {
    let Parts { ca, other, key, body, .. } = parts;
    let one_line = &body.replace('\n', "");
    let short_lines: Vec<_> = one_line.as_bytes().chunks(17).map(String::from_utf8_lossy).collect();
    Authority(&parts.test.work).revocation_list("list.pem")?;
    let list = &std::fs::read_to_string(parts.test.path("list.pem"))?;
    let described = &parts.openssl_text("x509 -in ca.pem -text")?;
    let locked = &parts.openssl_text("pkey -in ca.key -aes128 -passout pass:x")?;
    let mut all = Vec::new();
    let mut add = |what, content: Vec<u8>, curl, expected| all.push(Format { what, content, curl, expected });
    for (what, content) in [
        ("a certificate", ca.clone()),
        ("several certificates", format!("{other}{ca}")),
        ("a byte order mark", format!("{MARK}{ca}")),
        ("files with byte order marks put together", format!("{MARK}{other}{MARK}{ca}")),
        ("the line ends of Windows", ca.replace('\n', "\r\n")),
        ("white space at the ends of lines", ca.replace('\n', " \t\n")),
        ("indented text in a section", ca.replace("\nM", "\n   M")),
        ("no line end at the end", ca.trim_end().to_owned()),
        ("an empty line first", format!("{BEGIN}\n{body}{END}")),
        ("all in a long line", section(one_line)),
        ("short lines", section(&short_lines.join("\n"))),
        ("text before and between", format!("{described}{other}# the next one\n\n{described}")),
        ("an old name of a certificate", ca.replace("CERTIFICATE", "X509 CERTIFICATE")),
        ("a key, a revocation list and a locked key between", format!("{key}{list}{locked}{ca}{list}{key}")),
        ("sections of unknown kinds", format!("{}{ca}", section("MAA=").replace("CERTIFICATE", "THING"))),
    ] {
        add(what, content.into_bytes(), true, OK);
    }
    add("text in Latin-1", [b"B\xe9h\xf6rde\n", ca.as_bytes(), b"\xff\xfe\n"].concat(), true, OK);
    Ok(all)
}

/// What curl refuses, too.
fn damaged(parts: &Parts<'_>) -> Vec<Format> {
    let Parts { ca, other, key, body, .. } = parts;
    let one_line = &body.replace('\n', "");
    let half = other.split_at(300).0;
    let utf16: Vec<u8> = format!("{MARK}{ca}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut all = Vec::new();
    let mut add =
        |what, content: Vec<u8>, expected| all.push(Format { what, content, curl: false, expected });
    for (what, content, expected) in [
        (
            "no certificate",
            "garbage\n".to_owned(),
            &["ca_file", "format.pem", "no certificate", "PEM"] as Expected<'_>,
        ),
        ("an empty file", String::new(), &["ca_file", "no certificate"]),
        ("only a key", key.clone(), &["ca_file", "no certificate, but a section \"PRIVATE KEY\""]),
        (
            "an indented section",
            ca.replace('\n', "\n  ").replacen(BEGIN.trim_end(), "  -----BEGIN CERTIFICATE-----", 1),
            NO_LINE,
        ),
        ("no line ends", ca.replace('\n', ""), NO_LINE),
        ("line ends written as \\n", ca.replace('\n', "\\n"), NO_LINE),
        (
            "not base64, first",
            format!("{}{ca}", section("!!!!")),
            &["ca_file", "section 1 (line 1)", "not base64"],
        ),
        (
            "not base64, last",
            format!("{key}{ca}{}", section("!!!!")),
            &["ca_file", "section 3 (line ", "not base64"],
        ),
        (
            "no certificate in a section",
            format!("{}{ca}", section("MAA=")),
            &["ca_file", "section 1 (line 1)", "not a certificate"],
        ),
        (
            "an empty section",
            format!("{}{ca}", section("")),
            &["ca_file", "section 1 (line 1)", "not a certificate"],
        ),
        (
            "a header in a section",
            section(&format!("Comment: x\n\n{body}")),
            &["ca_file", "section 1 (line 1)", "not base64"],
        ),
        (
            "the second half is missing",
            format!("{ca}{half}"),
            &["ca_file", "section 2 (line ", "no END line"],
        ),
        (
            "the first one ends early",
            format!("{half}\n{ca}"),
            &["ca_file", "section 1 (line 1)", "no END line"],
        ),
        (
            "text after an END line",
            ca.replace("END CERTIFICATE-----", "END CERTIFICATE----- x"),
            &["ca_file", "section 1", "after its END line"],
        ),
        (
            "an END line of another kind",
            ca.replace("END CERT", "END X509 CERT"),
            &["ca_file", "section 1", "of another kind"],
        ),
        (
            "an END line glued to the text",
            format!("{BEGIN}{one_line}{END}"),
            &["ca_file", "section 1", "no END line"],
        ),
    ] {
        add(what, content.into_bytes(), expected);
    }
    add("text in UTF-16", utf16, &["ca_file", "UTF-16"]);
    add(
        "a section that is commented out",
        format!("{other}# {}", ca.replace('\n', "\n# ")).into_bytes(),
        &["lost_events", "unknown issuer"],
    );
    all
}

/// More than curl reads, for nothing in it that matters is damaged.
fn more_than_curl(parts: &Parts<'_>) -> Outcome<Vec<Format>> {
    let Parts { ca, other, body, .. } = parts;
    let der = parts.openssl("x509 -in ca.pem -outform der")?;
    let mut all = Vec::new();
    let mut add = |what, content: Vec<u8>| all.push(Format { what, content, curl: false, expected: OK });
    add("DER", der);
    for (what, content) in [
        ("the line ends of old Macs", ca.replace('\n', "\r")),
        ("glued together without a line end", format!("{}{ca}", other.trim_end())),
        ("empty lines inside", section(&body.replace('\n', "\n\n"))),
        (
            "a damaged section of another kind",
            format!("{}{ca}", section("!!!!").replace("CERTIFICATE", "X509 CRL")),
        ),
    ] {
        add(what, content.into_bytes());
    }
    Ok(all)
}

/// The trust settings of OpenSSL.
fn trust_settings(parts: &Parts<'_>) -> Outcome<Vec<Format>> {
    let mut all = Vec::new();
    let mut add = |what, content, curl, expected| all.push(Format { what, content, curl, expected });
    let refused: Expected<'_> = &["ca_file", "section 1 (line 1)", "trust settings"];
    for (what, options, trusted) in [
        ("trusted, without settings", "-trustout", true),
        ("trusted, with an alias", "-trustout -setalias name", true),
        ("trusted for servers", "-addtrust serverAuth", true),
        ("trusted for all", "-addtrust anyExtendedKeyUsage", true),
        ("trusted for mail and servers", "-addtrust emailProtection -addtrust serverAuth", true),
        ("trusted for mail only", "-addtrust emailProtection", false),
        ("rejected for servers", "-addreject serverAuth", false),
        ("rejected for mail", "-addreject emailProtection", true),
    ] {
        let content = parts.openssl(&format!("x509 -in ca.pem {options}"))?;
        add(what, content, trusted, if trusted { OK } else { refused });
    }
    let rejected = parts.openssl("x509 -in other-ca.pem -addreject serverAuth")?;
    let warned: Expected<'_> =
        &["ok", "of 2 sections 1 cannot be used and are left out, the first of them section 1"];
    let content = [&rejected, parts.ca.as_bytes()].concat();
    add("one that is rejected beside one that is not", content, true, warned);
    Ok(all)
}

/// A platform file that is damaged costs what is damaged. One that cannot be read costs that file.
fn damaged_platform(test: &mut OneEvent, hide: &str) -> Outcome<()> {
    let url = &test.url("https", "127.0.0.1");
    let read = |name: &str| std::fs::read_to_string(test.pem(name));
    let (ca, other) = (read("ca")?, read("other-ca")?);
    let broken = format!("{BEGIN}!!!!\n{END}");
    let (first, half) = (&format!("{PLATFORM}: of "), other.split_at(300).0);
    for (what, content, place) in [
        (
            "first",
            format!("{broken}{ca}"),
            "2 sections 1 cannot be read and are left out, the first of them section 1 (line 1)",
        ),
        ("in the middle", format!("{other}{broken}{broken}{ca}"), "4 sections 2 cannot be read"),
        ("last", format!("{ca}{broken}"), "2 sections 1 cannot be read"),
        ("cut off at the end", format!("{ca}{half}"), "2 sections 1 cannot be read"),
        ("without an end", format!("{half}\n{ca}"), "2 sections 1 cannot be read"),
    ] {
        write(Path::new(&test.path("bundle")), content)?;
        test.in_namespace(&format!(
            "{hide}\nmkdir -p /etc/ssl/certs; cp {} {PLATFORM}",
            test.path("bundle")
        ))?;
        let expected = &["ok", &format!("checked against {PLATFORM}"), first, place];
        test.expect(&format!("a section of the platform's file is damaged: {what}"), &[url], expected)?;
    }
    for (what, make, reason) in [
        ("a loop of links", "ln -s loop /etc/ssl/certs/loop; ln -s loop", "Too many levels"),
        ("a folder", "mkdir", "it is a directory"),
        ("a file that this user may not read", "install -m 0 /dev/null", "Permission denied"),
    ] {
        let setup = format!("{hide}\nmkdir -p /etc/ssl/certs; {make} {PLATFORM}");
        let expected = &[
            "lost_events",
            "unknown issuer",
            reason,
            "no certificates of the platform could be read",
            "bundled Mozilla roots",
        ];
        // Root may read everything, unless this is taken from it.
        let run = "exec setpriv --bounding-set=-dac_override,-dac_read_search \"$@\"";
        test.in_namespace(&format!("{setup}\n{run}"))?;
        test.expect(&format!("the platform's file is {what}"), &[url], expected)?;
        test.in_namespace(&format!("{setup}\ncp {} {OTHER_PLATFORM}\n{run}", test.pem("ca")))?;
        let expected = &["ok", reason, &format!("checked against {OTHER_PLATFORM}")];
        test.expect(&format!("the platform's file is {what}, and there is another one"), &[url], expected)?;
    }
    Ok(())
}

/// The machine's own roots, and a machine without any.
pub(crate) fn platform_roots(test: &mut OneEvent) -> Outcome<()> {
    let ours = &format!("ca_file={}", test.pem("ca"));
    let hide = "for folder in /etc/ssl /etc/pki /usr/local/share/certs; do
    [ ! -d $folder ] || mount -t tmpfs none $folder
done";
    let url = &test.url("https", "127.0.0.1");
    test.in_namespace(&format!("{hide}\nmkdir -p /etc/ssl/certs; cp {} {PLATFORM}", test.pem("ca")))?;
    test.expect("the platform's roots", &[url], &["ok", &format!("checked against {PLATFORM}")])?;
    test.in_namespace(&format!("{hide}\nmkdir -p /etc/ssl/certs; echo garbage >{PLATFORM}"))?;
    let expected = &[
        "lost_events",
        "unknown issuer",
        "bundled Mozilla roots",
        "ca-certificates.crt: it contains no certificate",
    ];
    test.expect("a platform file that is broken", &[url], expected)?;
    damaged_platform(test, hide)?;
    test.in_namespace(hide)?;
    let expected = &["lost_events", "unknown issuer", "checked against the bundled Mozilla roots"];
    test.expect("no CA files: https has the bundled roots", &[url], expected)?;
    test.expect("no CA files: ca_file works", &[url, ours], &["ok", "checked against ca_file"])?;
    test.serve(&[])?;
    test.expect("no CA files: http works", &[&test.url("http", "127.0.0.1")], &["ok"])?;
    test.prefix.clear();
    let https = &test.url("https", "127.0.0.1");
    test.expect("https to a port without TLS", &[https], &["lost_events", "not TLS: ", "http://"])
}
