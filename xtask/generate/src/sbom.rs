//! The bill of materials of a release, in CycloneDX 1.5: every crate that is linked in, zstd's C sources, and the
//! parts of the toolchain. `scripts/dist/sbom.sh` calls it, and checks the result against the published schema.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::Outcome;
use crate::linked::{self, Key, Package};

/// `sbom TIME TARGET=PLATFORM=RUSTC…`: libphc as it was built at TIME (2027-01-31T12:00:00Z) for these targets, each
/// with Rust's name of the platform and the version of the compiler.
pub(crate) fn page(arguments: &[String]) -> Outcome<String> {
    let usage = "usage: phc-generate sbom TIME TARGET=PLATFORM=RUSTC…";
    let (time, targets) = arguments.split_first().ok_or(usage)?;
    let targets: Vec<Target> =
        targets.iter().map(|text| Target::read(text).ok_or(usage)).collect::<Result<_, _>>()?;
    if targets.is_empty() {
        return Err(usage.into());
    }
    let platforms: Vec<&str> = targets.iter().map(|target| target.platform.as_str()).collect();
    let (packages, direct) = linked::packages("libphc", &platforms)?;
    let version = env!("CARGO_PKG_VERSION");
    let itself = format!("pkg:generic/libphc@{version}");

    let mut components: Vec<Value> = packages.values().map(|package| of_crate(package, &targets)).collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    edges.insert(itself.clone(), direct.iter().map(crate_url).collect());
    for (key, package) in &packages {
        edges.insert(crate_url(key), package.uses.iter().map(crate_url).collect());
    }

    let zstd = packages.keys().find(|(name, _)| name == "zstd-sys").ok_or("zstd-sys is not linked in")?;
    let (_, c_version) = zstd.1.split_once("+zstd.").ok_or("zstd-sys does not say which zstd it has")?;
    let c_url = format!("pkg:github/facebook/zstd@v{c_version}");
    components.push(json!({
        "type": "library", "bom-ref": c_url, "name": "zstd", "version": c_version, "purl": c_url,
        "description": "C sources in zstd-sys", "licenses": [{"expression": "BSD-3-Clause"}],
    }));
    edges.entry(crate_url(zstd)).or_default().insert(c_url.clone());
    edges.insert(c_url, BTreeSet::new());

    for part in linked::parts()? {
        for (version, names) in in_targets(&part.id, &part.version, &targets) {
            let url = format!("pkg:generic/{}@{}", part.id, encoded(&version));
            components.push(json!({
                "type": "library", "bom-ref": url, "name": part.name, "version": version, "purl": url,
                "licenses": [{"expression": part.licence}], "properties": [property(&names)],
            }));
            edges.entry(itself.clone()).or_default().insert(url.clone());
            edges.insert(url, BTreeSet::new());
        }
    }

    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": {"components": [{"type": "application", "name": "phc-generate", "version": version}]},
            "component": {
                "type": "library", "bom-ref": itself, "name": "libphc", "version": version, "purl": itself,
                "description": env!("CARGO_PKG_DESCRIPTION"), "licenses": [{"expression": "MIT"}],
                "properties": [property(&names)],
            },
        },
        "components": components,
        "dependencies": edges.iter().map(|(from, to)| json!({"ref": from, "dependsOn": to})).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

/// A target of the release.
struct Target {
    name: String,
    platform: String,
    rustc: String,
}

impl Target {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('=').map(str::to_owned);
        let target = Self { name: parts.next()?, platform: parts.next()?, rustc: parts.next()? };
        let whole = ![&target.name, &target.platform, &target.rustc].iter().any(|part| part.is_empty());
        (whole && parts.next().is_none()).then_some(target)
    }
}

fn of_crate(package: &Package, targets: &[Target]) -> Value {
    let url = crate_url(&(package.name.clone(), package.version.clone()));
    let names: Vec<&str> = targets
        .iter()
        .filter(|target| package.platforms.contains(&target.platform))
        .map(|target| target.name.as_str())
        .collect();
    json!({
        "type": "library", "bom-ref": url, "name": package.name, "version": package.version, "purl": url,
        "licenses": [{"expression": package.licence}],
        "hashes": [{"alg": "SHA-256", "content": package.checksum}],
        "properties": [property(&names)],
    })
}

/// The versions of a part of the toolchain, each with the targets into whose libraries it is linked. std is that of the
/// compiler; the others come with zig, which links for Linux and Windows.
fn in_targets<'a>(id: &str, version: &str, targets: &'a [Target]) -> BTreeMap<String, Vec<&'a str>> {
    let mut versions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for target in targets {
        let is_linked = match id {
            "mingw-w64" => target.platform.contains("windows"),
            "rust-std" => true,
            _ => !target.platform.contains("apple"),
        };
        let version = if id == "rust-std" { &target.rustc } else { version };
        if is_linked {
            versions.entry(version.to_owned()).or_default().push(&target.name);
        }
    }
    versions
}

fn property(names: &[&str]) -> Value {
    json!({"name": "libphc:targets", "value": names.join(" ")})
}

fn crate_url((name, version): &Key) -> String {
    format!("pkg:cargo/{name}@{}", encoded(version))
}

/// What a package URL cannot have in a version.
fn encoded(version: &str) -> String {
    version.replace('+', "%2B").replace(' ', "%20")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn bill(targets: &[&str]) -> Value {
        let arguments: Vec<String> =
            ["2027-01-31T12:00:00Z"].iter().chain(targets).map(|&text| text.to_owned()).collect();
        serde_json::from_str(&page(&arguments).unwrap()).unwrap()
    }

    fn names(bill: &Value) -> Vec<String> {
        let components = bill.get("components").unwrap().as_array().unwrap();
        components
            .iter()
            .map(|component| component.get("purl").unwrap().as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn each_compiler_brings_its_own_std() {
        let names = names(&bill(&[
            "x86_64-linux-gnu=x86_64-unknown-linux-gnu=1.95.0",
            "x86_64-linux-musl=x86_64-unknown-linux-musl=1.97.1",
        ]));
        for expected in
            ["pkg:generic/rust-std@1.95.0", "pkg:generic/rust-std@1.97.1", "pkg:github/facebook/zstd@v1.5.7"]
        {
            assert!(names.iter().any(|name| name == expected), "{expected} in {names:?}");
        }
        assert!(
            !names.iter().any(|name| name.contains("mingw-w64") || name.contains("windows")),
            "{names:?}"
        );
    }

    #[test]
    fn every_reference_is_a_component() {
        let bill = bill(&["x86_64-windows=x86_64-pc-windows-gnullvm=1.97.1"]);
        let names = names(&bill);
        assert!(names.iter().any(|name| name.contains("mingw-w64")), "{names:?}");
        for edge in bill.get("dependencies").unwrap().as_array().unwrap() {
            for to in edge.get("dependsOn").unwrap().as_array().unwrap() {
                assert!(names.iter().any(|name| name == to.as_str().unwrap()), "{to}");
            }
        }
    }

    #[test]
    fn a_target_is_named_in_full() {
        for wrong in [&[][..], &["x86_64-linux-gnu"], &["a=b="], &["a=b=c=d"]] {
            let arguments: Vec<String> = ["now"].iter().chain(wrong).map(|&text| text.to_owned()).collect();
            assert!(page(&arguments).is_err(), "{wrong:?}");
        }
    }
}
