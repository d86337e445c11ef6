//! The headers, made from the doc comments of `src/capi/` by cbindgen, and what is made from
//! the table of call rules.

use std::io::Write as _;
use std::process::{Command, Stdio};

use phc::internals::CALL_RULES;

use crate::{Outcome, keep, root};

/// The files of `src/capi/` behind each header, in the order of the header.
const PHC: [&str; 16] = [
    "status",
    "config",
    "client",
    "flush",
    "spool",
    "callbacks",
    "capture",
    "event",
    "exception",
    "flags_query",
    "flag_values",
    "flags",
    "remote_config",
    "before_send",
    "report",
    "stats",
];
const BINDING: [&str; 2] = ["binding", "binding_flags"];

/// What phc_binding.h begins with.
const BINDING_HEAD: &str = "
/*
 * libphc: what people who write bindings to other languages need besides phc.h. A C program
 * needs none of it. MIT licence.
 */";

/// Writes or compares all files that are made from `src/capi/`.
pub(crate) fn headers(check: bool) -> Outcome<()> {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml"))?;
    let header = with_enums(&generated(config.clone(), &PHC)?).replace("@VERSION@", &version_macros());
    let binding = generated(
        cbindgen::Config {
            include_guard: Some("PHC_BINDING_H".to_owned()),
            header: Some(BINDING_HEAD.to_owned()),
            sys_includes: Vec::new(),
            after_includes: Some("\n\n#include \"phc.h\"".to_owned()),
            ..config.clone()
        },
        &BINDING,
    )?;
    for folder in ["include", "bindings/go"] {
        // A Go module contains everything that it is built from.
        keep(&root().join(folder).join("phc.h"), &header, check)?;
        keep(&root().join(folder).join("phc_binding.h"), &binding, check)?;
    }
    let symbols = std::fs::read_to_string(root().join("abi/symbols.txt"))?;
    keep(&root().join("bindings/go/phc_musl.h"), &musl_names(&symbols), check)?;
    keep(&root().join("include/phc.cdef.h"), &without_preprocessor(config)?, check)?;
    keep(&root().join("tests/c/call_rules.h"), &call_rules(), check)?;
    keep(&root().join("docs/callbacks.md"), &callbacks_page(), check)
}

fn generated(config: cbindgen::Config, files: &[&str]) -> Outcome<String> {
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in files {
        builder = builder.with_src(root().join(format!("src/capi/{file}.rs")));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    // Where an annotation ended a comment, cbindgen leaves an empty line.
    Ok(String::from_utf8(text)?.replace("\n *\n */\n", "\n */\n"))
}

/// Both headers for readers without a preprocessor: PHP FFI, LuaJIT, cffi.
fn without_preprocessor(config: cbindgen::Config) -> Outcome<String> {
    let bare = cbindgen::Config {
        include_guard: None,
        sys_includes: Vec::new(),
        cpp_compat: false,
        after_includes: None,
        header: None,
        autogen_warning: None,
        documentation: false,
        function: cbindgen::FunctionConfig { prefix: None, must_use: None, ..config.function.clone() },
        ..config
    };
    let both = generated(bare.clone(), &PHC)? + &generated(bare, &BINDING)?;
    let both =
        ["PHC_API ", "PHC_RETURNS_NONNULL"].iter().fold(both, |text, attribute| text.replace(attribute, ""));
    let both = both.replace("UINT32_MAX", "4294967295");
    preprocessed(&with_enums(&both))
}

/// The names of the functions in the archive for musl of the Go package, which links it beside the one for glibc.
fn musl_names(symbols: &str) -> String {
    let mut text = String::from(
        "/* Generated from abi/symbols.txt by `make headers`.\n \
         * What scripts/go-archive.sh calls the functions in the archive for musl. */\n",
    );
    for name in symbols.lines() {
        text += &format!("#define {name} musl_{name}\n");
    }
    text
}

/// The version of the package as macros.
fn version_macros() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    let number = parts.iter().fold(0, |number, part| number << 8 | part);
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    format!(
        "/* The version of this header; phc_version() has that of the library. */\n\
         #define PHC_VERSION \"{version}\"\n\
         #define PHC_VERSION_MAJOR {}\n#define PHC_VERSION_MINOR {}\n#define PHC_VERSION_PATCH {}\n\
         /* PHC_VERSION_MAJOR << 16 | PHC_VERSION_MINOR << 8 | PHC_VERSION_PATCH */\n\
         #define PHC_VERSION_NUMBER 0x{number:06x}",
        part(0),
        part(1),
        part(2),
    )
}

/// Turns constants into enumerators, which debuggers show and which outlive the preprocessor:
/// consecutive numbers into one enumeration. What a program may want to test in the
/// preprocessor stays a macro where there is one.
fn with_enums(header: &str) -> String {
    let macros = ["PHC_NO_LIMIT", "PHC_ABI_VERSION", "PHC_VERSION"];
    let has_preprocessor = header.contains("#ifndef");
    let mut out = String::new();
    let mut comment = String::new();
    // The number of the last enumerator of the enumeration that is open.
    let mut open = None;
    for line in header.lines() {
        let number = line.strip_prefix("#define ").and_then(|rest| {
            let (name, value) = rest.split_once(' ')?;
            let stays = has_preprocessor && macros.iter().any(|kept| name.starts_with(kept));
            (!stays).then_some((name, value.trim().parse::<u32>().ok()?))
        });
        let is_comment = line.starts_with("/**") || line.starts_with(" *");
        if open.is_some() && line.is_empty() {
            continue;
        }
        if is_comment {
            // It belongs to what follows it, which may be the next enumerator.
            comment += &format!("{line}\n");
            continue;
        }
        if let Some(last) = open
            && number.is_none_or(|(_, value)| u32::checked_add(last, 1) != Some(value))
        {
            out += "};\n\n";
            open = None;
        }
        let comment = std::mem::take(&mut comment);
        if let Some((name, value)) = number {
            if open.is_none() {
                out += "enum {\n";
            }
            for line in comment.lines() {
                out += &format!("    {line}\n");
            }
            out += &format!("    {name} = {value},\n");
            open = Some(value);
        } else {
            out += &format!("{comment}{line}\n");
        }
    }
    if open.is_some() {
        out += "};\n";
    }
    out + &comment
}

/// The text without a preprocessor line, by the C compiler itself.
fn preprocessed(header: &str) -> Outcome<String> {
    let mut compiler = Command::new("cc")
        .args(["-E", "-P", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    compiler.stdin.take().ok_or("no stdin")?.write_all(header.as_bytes())?;
    let output = compiler.wait_with_output()?;
    if !output.status.success() {
        return Err("cc -E failed".into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The call rules for the test in C that walks them.
fn call_rules() -> String {
    let mut text = String::from(
        "/* Generated from src/capi/rules.rs by `make headers`; edit that.\n   RULE(function, in_before_send, in_callback) */\n",
    );
    for rule in CALL_RULES {
        let (before_send, callback) = (u8::from(rule.in_before_send), u8::from(rule.in_callback));
        text += &format!("RULE({}, {before_send}, {callback})\n", rule.name);
    }
    text
}

/// docs/callbacks.md.
fn callbacks_page() -> String {
    let mut page = String::from(
        "# Calls from inside callbacks\n\n\
         <!-- Generated from src/capi/rules.rs by `make headers`; edit that. -->\n\n\
         Inside a callback no function waits for that callback. One that could, and a capture inside `before_send`,\n\
         returns `PHC_REENTRANT` there (or its failure value), changes nothing, and `phc_last_error()` names it. The\n\
         setters of callbacks, which otherwise return once the old callback runs no more, return at once.\n\
         `phc_client_free` frees the client once the callback has returned. Calls for feature flags and remote configs\n\
         may wait there for the server, as they do elsewhere.\n\n\
         All functions may be called from inside any callback, except for these:\n\n\
         | function | in `before_send` | in the error, delivery and log callbacks |\n|---|---|---|\n",
    );
    let word = |allowed: bool| if allowed { "yes" } else { "`PHC_REENTRANT`" };
    for rule in CALL_RULES.iter().filter(|rule| !(rule.in_before_send && rule.in_callback)) {
        page +=
            &format!("| `{}` | {} | {} |\n", rule.name, word(rule.in_before_send), word(rule.in_callback));
    }
    page
}
