//! `phc-generate headers|settings|licences [--check]`: writes generated
//! files that are committed, or compares them with what the sources say now.

mod licences;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What may go wrong ends the task.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let check = args.iter().any(|arg| arg == "--check");
    let task = args.first().map_or("", String::as_str);
    let outcome = match task {
        "headers" => headers(check),
        "settings" => keep(&root().join("docs/settings.md"), &phc::config::settings_page(), check),
        "licences" => licences::pages().and_then(|(table, texts)| {
            keep(&root().join("docs/third-party/README.md"), &table, check)?;
            keep(&root().join("docs/third-party/LICENCES.txt"), &texts, check)
        }),
        _ => Err("usage: phc-generate headers|settings|licences [--check]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{task}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Writes a file, or compares it with what is there.
fn keep(path: &Path, text: &str, check: bool) -> Outcome<()> {
    let shown = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    if std::fs::read_to_string(path).is_ok_and(|present| present == text) {
        println!("{shown} is up to date");
    } else if check {
        return Err(
            format!("{shown} differs from what the sources say: run `make headers docs` and commit").into()
        );
    } else {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
        println!("{shown} written");
    }
    Ok(())
}

fn headers(check: bool) -> Outcome<()> {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml"))?;
    let header = generated(config.clone())?;
    keep(&root().join("include/phc.h"), &header, check)?;
    // A Go module holds all that it is built from.
    keep(&root().join("bindings/go/phc.h"), &header, check)?;

    // The same for readers without a preprocessor: PHP FFI, LuaJIT, cffi.
    let bare = cbindgen::Config {
        include_guard: None,
        sys_includes: Vec::new(),
        cpp_compat: false,
        after_includes: None,
        header: None,
        autogen_warning: None,
        documentation: false,
        function: cbindgen::FunctionConfig { prefix: None, ..config.function.clone() },
        ..config
    };
    keep(&root().join("include/phc.cdef.h"), &preprocessed(&with_enums(&generated(bare)?))?, check)
}

fn generated(config: cbindgen::Config) -> Outcome<String> {
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["status", "config", "client", "capture", "event", "outgoing", "report", "stats"] {
        builder = builder.with_src(root().join(format!("src/capi/{file}.rs")));
    }
    let bindings = builder.generate()?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(String::from_utf8(text)?)
}

/// Constants as enums, which outlive the preprocessor. Those that fit no int are
/// left out.
fn with_enums(header: &str) -> String {
    let constant = |line: &str| {
        let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
        value.trim().parse::<i32>().ok().map(|value| format!("enum {{ {name} = {value} }};"))
    };
    header.lines().map(|line| constant(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// The text without a preprocessor line, through the C compiler itself.
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
