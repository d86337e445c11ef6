//! The licences of everything that is linked into the library and the programs: tables, and the texts that a
//! distributor passes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::linked::{self, Key, PLATFORMS, Package, Part};

type Packages = BTreeMap<Key, Package>;

/// Crates whose archive has no text, and the crate of the same repository that has it.
const TEXT_OF: &[(&str, &str)] = &[("alloc-stdlib", "alloc-no-stdlib"), ("brotlic-sys", "brotlic")];

/// Texts that lie deeper in a crate, of code that it took over from elsewhere.
const DEEPER: &[(&str, &[&str])] =
    &[("ring", &["src/polyfill/once_cell/LICENSE-MIT", "third_party/fiat/LICENSE"])];

/// Texts of code inside a crate whose archive does not have them, in `docs/third-party/crates`.
const KEPT_HERE: &[(&str, &str)] = &[("brotlic-sys", "brotli.txt")];

/// The pages of `docs/third-party`, by file name.
pub(crate) fn pages() -> Outcome<[(&'static str, String); 4]> {
    let (library, _) = linked::packages("libphc", &PLATFORMS)?;
    let (server, _) = linked::packages("phc-sink", &PLATFORMS)?;
    let (tool, _) = linked::packages("phc-cli", &PLATFORMS)?;
    let parts = linked::parts()?;
    Ok([
        ("README.md", tables(&library, &server, &tool, &parts)?),
        ("LICENCES.txt", texts("libphc", &library, &parts)?),
        ("LICENCES-phc-sink.txt", texts("phc-sink", &server, &parts)?),
        ("LICENCES-phc-cli.txt", texts("phc-cli", &tool, &parts)?),
    ])
}

fn tables(library: &Packages, server: &Packages, tool: &Packages, parts: &[Part]) -> Outcome<String> {
    let mut page = String::from(
        "# Third-party licences\n\n<!-- Made from Cargo.lock, crates/ and toolchain/ by `make docs`. -->\n\n\
         What is linked into the library, with all features. `LICENCES.txt` holds the texts, for those who\n\
         distribute it; packages have it as `THIRD-PARTY.txt`.\n\n\
         ## Crates\n\n| crate | version | licence | only for |\n|---|---|---|---|\n",
    );
    for package in library.values() {
        let Package { name, version, licence, .. } = package;
        writeln!(page, "| {name} | {version} | {licence} | {} |", only_for(package))?;
    }
    page += "\n## Parts of the toolchain\n\nTheir texts, and where they are from, are in `toolchain/`. \
             `BUILDINFO` of a release has the exact versions.\n\n\
             | part | version | licence | linked |\n|---|---|---|---|\n";
    for part in parts {
        writeln!(page, "| {} | {} | {} | {} |", part.name, part.version, part.licence, part.linked)?;
    }
    for (title, name, packages) in
        [("The test server", "phc-sink", server), ("The command-line tool", "phc-cli", tool)]
    {
        write!(
            page,
            "\n## {title}\n\n`{name}` is in tarballs and in the package `phc-tools`. What it links besides what the \
             library does;\n`LICENCES-{name}.txt` holds the texts of all that it links, and packages have it as\n\
             `THIRD-PARTY-{name}.txt`.\n\n| crate | version | licence | only for |\n|---|---|---|---|\n"
        )?;
        for (_, package) in packages.iter().filter(|(key, _)| !library.contains_key(*key)) {
            let Package { name, version, licence, .. } = package;
            writeln!(page, "| {name} | {version} | {licence} | {} |", only_for(package))?;
        }
    }
    Ok(page)
}

/// The licence texts of what is linked into `product`. Many crates share a text to the letter.
fn texts(product: &str, packages: &Packages, parts: &[Part]) -> Outcome<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Package { name, version, .. } in packages.values() {
        let source =
            TEXT_OF.iter().find(|(crate_name, _)| crate_name == name).map_or(name.as_str(), |(_, of)| of);
        let source = packages
            .values()
            .find(|other| other.name == source && (source != name || other.version == *version))
            .ok_or_else(|| format!("{source}, whose text {name} shares, is not linked in"))?;
        for text in texts_of(source)? {
            texts.entry(text).or_default().push(format!("{name} {version}"));
        }
        for (_, file) in KEPT_HERE.iter().filter(|(crate_name, _)| crate_name == name) {
            let path = crate::root().join("docs/third-party/crates").join(file);
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            texts.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    for part in parts {
        texts
            .entry(part.text.clone())
            .or_default()
            .push(format!("{} {}, linked {}", part.name, part.version, part.linked));
    }
    let mut page = format!("Licence texts of what is linked into {product}.\n");
    let mut all: Vec<_> = texts.into_iter().map(|(text, names)| (names.join(", "), text)).collect();
    all.sort();
    for (names, text) in all {
        write!(page, "\n{}\n{names}\n\n{}\n", "=".repeat(80), text.trim_end())?;
    }
    Ok(page)
}

/// The system whose library alone has this crate.
fn only_for(package: &Package) -> &'static str {
    let all = |system: &str| package.platforms.iter().all(|platform| platform.contains(system));
    [("windows", "Windows"), ("apple", "macOS"), ("linux", "Linux")]
        .into_iter()
        .find_map(|(system, name)| all(system).then_some(name))
        .unwrap_or_default()
}

/// The licence texts of a crate: MIT where it suffices, else all.
fn texts_of(package: &Package) -> Outcome<Vec<String>> {
    let is_licence = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file()
            && ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|start| name.starts_with(start))
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&package.folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|path| is_licence(path));
    files.sort();
    let is_mit = |path: &&PathBuf| path.to_string_lossy().to_uppercase().ends_with("MIT");
    if !package.licence.contains(" AND ")
        && let Some(mit) = files.iter().find(is_mit).cloned()
    {
        files = vec![mit];
    }
    if files.is_empty() {
        return Err(format!(
            "{} {} brings no licence text: name the crate that has it in TEXT_OF of {}",
            package.name,
            package.version,
            file!()
        )
        .into());
    }
    for (_, deeper) in DEEPER.iter().filter(|(name, _)| *name == package.name) {
        files.extend(deeper.iter().map(|file| package.folder.join(file)));
    }
    files
        .iter()
        .map(|file| {
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
        })
        .collect()
}
