//! What is linked into the library or the test server: the crates, as cargo lists them for each platform, and the parts of the
//! toolchain, as `docs/third-party/toolchain/` describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{Outcome, root};

/// Rust's names of the platforms that differ in what is linked in.
pub(crate) const PLATFORMS: [&str; 4] = [
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "x86_64-pc-windows-gnullvm",
    "aarch64-apple-darwin",
];

/// One crate that is linked in.
pub(crate) struct Package {
    pub name: String,
    pub version: String,
    pub licence: String,
    pub folder: PathBuf,
    /// The SHA-256 that `Cargo.lock` demands.
    pub checksum: String,
    /// The platforms into whose library it is linked.
    pub platforms: BTreeSet<String>,
    /// The crates that it uses.
    pub uses: BTreeSet<Key>,
}

/// Name and version.
pub(crate) type Key = (String, String);

/// The crates that are linked into `product`, a crate of this workspace, for these platforms, and those that it uses
/// itself.
pub(crate) fn packages(
    product: &str,
    platforms: &[&str],
) -> Outcome<(BTreeMap<Key, Package>, BTreeSet<Key>)> {
    let folders = folders(platforms)?;
    let checksums = checksums()?;
    let mut packages: BTreeMap<Key, Package> = BTreeMap::new();
    let mut direct = BTreeSet::new();
    for platform in platforms {
        let listing = stdout(
            &[
                &["tree", "--locked", "-p", product, "-e", "normal,no-proc-macro", "--prefix", "depth"][..],
                &["--target", platform, "-f", " {p}\t{l}"],
            ]
            .concat(),
        )?;
        // The crates between the product and the line that is read.
        let mut above: Vec<Key> = Vec::new();
        for line in listing.lines() {
            let (head, licence) =
                line.split_once('\t').ok_or_else(|| format!("cargo tree printed {line:?}"))?;
            let mut words = head.split_whitespace();
            let (Some(depth), Some(name), Some(version)) = (words.next(), words.next(), words.next()) else {
                return Err(format!("cargo tree printed {line:?}").into());
            };
            let depth: usize = depth.parse()?;
            let key = (name.to_owned(), version.trim_start_matches('v').to_owned());
            above.truncate(depth);
            above.push(key.clone());
            // A crate of this workspace is part of the product, which uses what that crate uses.
            if words.next().is_some_and(|folder| folder.starts_with("(/")) {
                continue;
            }
            let Some(user) = depth.checked_sub(1).and_then(|at| above.get(at)) else { continue };
            match packages.get_mut(user) {
                Some(package) => drop(package.uses.insert(key.clone())),
                None => drop(direct.insert(key.clone())),
            }
            let missing = |what: &str| format!("{name} {version}: {what}; run `cargo fetch --locked`");
            if !packages.contains_key(&key) {
                let package = Package {
                    name: key.0.clone(),
                    version: key.1.clone(),
                    licence: licence.trim_end_matches(" (*)").replace('/', " OR "),
                    folder: folders.get(&key).ok_or_else(|| missing("cargo metadata has no folder"))?.clone(),
                    checksum: checksums
                        .get(&key)
                        .ok_or_else(|| missing("no checksum in Cargo.lock"))?
                        .clone(),
                    platforms: BTreeSet::new(),
                    uses: BTreeSet::new(),
                };
                packages.insert(key.clone(), package);
            }
            if let Some(package) = packages.get_mut(&key) {
                package.platforms.insert((*platform).to_owned());
            }
        }
    }
    Ok((packages, direct))
}

/// Where the sources of each crate are.
fn folders(platforms: &[&str]) -> Outcome<BTreeMap<Key, PathBuf>> {
    let mut arguments = vec!["metadata", "--locked", "--format-version", "1"];
    for platform in platforms {
        arguments.extend(["--filter-platform", *platform]);
    }
    let metadata: Value = serde_json::from_str(&stdout(&arguments)?)?;
    let text = |package: &Value, member: &str| package.get(member).and_then(Value::as_str).map(str::to_owned);
    let packages =
        metadata.get("packages").and_then(Value::as_array).ok_or("cargo metadata has no packages")?;
    Ok(packages
        .iter()
        .filter_map(|package| {
            let mut folder = PathBuf::from(text(package, "manifest_path")?);
            folder.pop();
            Some(((text(package, "name")?, text(package, "version")?), folder))
        })
        .collect())
}

/// The checksums of `Cargo.lock`.
fn checksums() -> Outcome<BTreeMap<Key, String>> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock"))?;
    let value = |package: &str, member: &str| {
        let start = format!("{member} = \"");
        package
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .map(|rest| rest.trim_end_matches('"').to_owned())
    };
    Ok(lock
        .split("[[package]]")
        .filter_map(|package| {
            Some(((value(package, "name")?, value(package, "version")?), value(package, "checksum")?))
        })
        .collect())
}

/// A part of the toolchain: a file of `docs/third-party/toolchain/`, which is a head of `key: value` lines, an empty
/// line and the licence text.
pub(crate) struct Part {
    pub id: String,
    pub name: String,
    pub version: String,
    pub licence: String,
    /// Into which libraries it is linked.
    pub linked: String,
    pub text: String,
}

/// The parts, in the order of their files.
pub(crate) fn parts() -> Outcome<Vec<Part>> {
    let folder = root().join("docs/third-party/toolchain");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    files
        .iter()
        .map(|file| {
            part(&std::fs::read_to_string(file)?)
                .map_err(|error| format!("{}: {error}", file.display()).into())
        })
        .collect()
}

fn part(file: &str) -> Outcome<Part> {
    let (head, text) = file.split_once("\n\n").ok_or("no empty line behind its head")?;
    let value = |key: &str| {
        let found = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        found.map(str::to_owned).ok_or_else(|| format!("its head has no line `{key}: …`"))
    };
    // A reader must be able to look it up.
    value("source")?;
    Ok(Part {
        id: value("id")?,
        name: value("name")?,
        version: value("version")?,
        licence: value("licence")?,
        linked: value("linked")?,
        text: text.to_owned(),
    })
}

/// What cargo prints.
fn stdout(arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_a_source_is_refused() {
        let file =
            "name: n\nid: i\nversion: 1\nlicence: MIT\nlinked: always\nsource: somewhere\n\nthe text\n";
        assert_eq!(part(file).unwrap().text, "the text\n");
        assert!(part(&file.replace("source: somewhere\n", "")).is_err());
        assert!(part("name: n").is_err());
    }

    #[test]
    fn windows_links_what_linux_does_not() {
        let (packages, direct) = packages("libphc", &PLATFORMS).unwrap();
        let windows: BTreeSet<_> = [PLATFORMS[2].to_owned()].into();
        let only: Vec<_> = packages.values().filter(|package| package.platforms == windows).collect();
        assert!(only.iter().any(|package| package.name == "windows-sys"), "{} crates", only.len());
        let reqwest = packages.values().find(|package| package.name == "reqwest").unwrap();
        assert!(direct.contains(&(reqwest.name.clone(), reqwest.version.clone())));
        assert!(reqwest.uses.iter().any(|(name, _)| name == "hyper"));
        assert_eq!(reqwest.checksum.len(), 64);
    }

    #[test]
    fn the_test_server_links_what_the_library_does_not() {
        let (library, _) = packages("libphc", &PLATFORMS).unwrap();
        let (server, direct) = packages("phc-sink", &PLATFORMS).unwrap();
        let axum = server.keys().find(|(name, _)| name == "axum").unwrap();
        assert!(direct.contains(axum) && !library.contains_key(axum));
    }
}
