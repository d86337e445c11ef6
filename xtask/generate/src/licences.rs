//! The licences of everything that is linked into the library: a table, and the
//! texts that a distributor passes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::{Outcome, root};

/// One crate that is linked in.
struct Package {
    name: String,
    version: String,
    licence: String,
    folder: String,
}

/// The table and the texts.
pub(crate) fn pages() -> Outcome<(String, String)> {
    let packages = linked()?;
    let mut table = String::from(
        "# Third-party licences\n\n<!-- Made from Cargo.lock by `make docs`. -->\n\n\
         What is linked into the library, with all features. `LICENCES.txt` holds the texts, for those who\n\
         distribute it.\n\n| crate | version | licence |\n|---|---|---|\n",
    );
    // Many share a text to the letter.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in &packages {
        let Package { name, version, licence, folder } = package;
        writeln!(table, "| {name} | {version} | {licence} |")?;
        for text in texts_in(Path::new(folder))? {
            texts.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    let mut pages = String::from("Licence texts of what is linked into libphc.\n");
    let mut all: Vec<_> = texts.into_iter().map(|(text, names)| (names.join(", "), text)).collect();
    all.sort();
    for (names, text) in all {
        write!(pages, "\n{}\n{names}\n\n{}\n", "=".repeat(80), text.trim_end())?;
    }
    Ok((table, pages))
}

/// Name, version, licence and folder of each crate, as cargo lists them.
fn linked() -> Outcome<Vec<Package>> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "-p", "libphc", "-e", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu", "-f", "{p}\t{l}"])
        .current_dir(root())
        .output()?;
    if !tree.status.success() {
        return Err(String::from_utf8_lossy(&tree.stderr).into());
    }
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"))?;
    let sources = std::fs::read_dir(Path::new(&home).join("registry/src"))?;
    let sources: Vec<_> = sources.filter_map(Result::ok).map(|entry| entry.path()).collect();
    let mut packages: Vec<Package> = Vec::new();
    for line in String::from_utf8(tree.stdout)?.lines() {
        let Some((package, licence)) = line.split_once('\t') else { continue };
        let mut words = package.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let version = version.trim_start_matches('v');
        if name == "libphc" || packages.iter().any(|known| known.name == name && known.version == version) {
            continue;
        }
        let folder =
            sources.iter().map(|source| source.join(format!("{name}-{version}"))).find(|path| path.is_dir());
        packages.push(Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.trim_end_matches(" (*)").to_owned(),
            folder: folder.ok_or_else(|| format!("{name} {version} is not unpacked"))?.display().to_string(),
        });
    }
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(packages)
}

/// The licence texts of a crate: MIT where it is offered, else all.
fn texts_in(folder: &Path) -> Outcome<Vec<String>> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.sort();
    let is_licence = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && ["LICENSE", "LICENCE", "COPYING"].iter().any(|start| name.starts_with(start))
    };
    files.retain(|path| is_licence(path));
    if let Some(mit) = files.iter().find(|path| path.to_string_lossy().to_uppercase().ends_with("MIT")) {
        return Ok(vec![std::fs::read_to_string(mit)?]);
    }
    Ok(files.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?)
}
