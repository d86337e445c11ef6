//! `phc-generate headers|settings|licences [--check]`: writes generated files that are committed, or compares them
//! with what the sources say now. `phc-generate sbom …` prints the bill of materials of a release.

mod headers;
mod licences;
mod linked;
mod sbom;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What may go wrong ends the task.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let check = args.iter().any(|arg| arg == "--check");
    let task = args.first().map_or("", String::as_str);
    let outcome = match task {
        "headers" => headers::headers(check),
        "settings" => keep(&root().join("docs/settings.md"), &phc::internals::settings_page(), check),
        "licences" => licences::pages().and_then(|pages| {
            pages
                .iter()
                .try_for_each(|(name, text)| keep(&root().join("docs/third-party").join(name), text, check))
        }),
        "sbom" => sbom::page(args.get(1..).unwrap_or_default()).map(|bill| print!("{bill}")),
        _ => Err("usage: phc-generate headers|settings|licences [--check], or sbom …".into()),
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
