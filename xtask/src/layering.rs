//! Who may import whom in the library, and what a module may not use at all. The table of layers is here, once;
//! docs/architecture.md is held against it. A crate of its own is a module like those of src/.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::ensure;
use crate::process::{Outcome, read, tracked};
use crate::rust::{self, File, UsedPath};

/// One top-level module of src/, with what it is for.
pub(crate) struct Module {
    pub name: &'static str,
    pub about: &'static str,
}

const fn module(name: &'static str, about: &'static str) -> Module {
    Module { name, about }
}

/// Modules that are crates of their own, with their folders.
const CRATES: &[(&str, &str)] = &[("phc_compression", "compression/")];

/// From the lowest to the highest layer. A module may import those of lower layers and, without a circle, those of
/// its own.
pub(crate) const LAYERS: &[&[Module]] = &[
    &[
        module("status", "statuses and errors, as every layer returns them"),
        module("memory", "memory that may be missing"),
        module("failpoint", "panics on demand, in a build for tests"),
        module("sync", "locks and atomics, or loom's in their place"),
        module("suggest", "the nearest known word to an unknown one"),
    ],
    &[module("runtime", "threads, forks, signals, cancellation, descriptors, exit; knows no clients")],
    &[module("json", "JSON text: one reader, numbers, escapes, UTF-8 repair")],
    &[module("event", "what a capture was given becomes wire bytes")],
    &[module("exception", "what a program says of an error becomes an event")],
    &[module("flags", "feature flags as rules: definitions, evaluation; no I/O, no clock, no locks")],
    &[module("protocol", "Capture v1 as rules: no I/O, no clock, no threads")],
    &[module("phc_compression", "bodies compressed; built for size")],
    &[module("config", "every setting once")],
    &[module("spool", "pending events on disk; knows no clients, no network and no clock")],
    &[module("transport", "one HTTP attempt: TLS, proxy, compression")],
    &[module("delivery", "queue, batches and how each event ends, behind one lock; the send loop")],
    &[module("client", "what the API calls: clients, callbacks, flush, close")],
    &[module("capi", "the C boundary: converts and calls")],
];

/// What some modules may not use: modules, paths (a path in the source that has one of them in it is an error), and
/// the reason.
struct Invariant {
    inside: &'static [&'static str],
    forbidden: &'static [&'static str],
    because: &'static str,
}

const INVARIANTS: &[Invariant] = &[
    Invariant {
        inside: &["protocol"],
        forbidden: &[
            "std::time::Instant",
            "time::Instant",
            "SystemTime::now",
            "std::thread",
            "std::net",
            "std::fs",
            "tokio",
            "std::sync",
            "crate::sync",
        ],
        because: "rules are values: no I/O, no clock, no threads",
    },
    Invariant {
        inside: &["json", "event"],
        forbidden: &["std::sync", "crate::sync", "std::thread", "std::net", "std::fs", "tokio"],
        because: "an event is encoded on the calling thread, without a lock and without I/O",
    },
    Invariant {
        inside: &["spool"],
        forbidden: &[
            "std::thread",
            "std::net",
            "tokio",
            "std::time::Instant",
            "time::Instant",
            "SystemTime::now",
            "crate::sync",
        ],
        because: "the spool is a state machine over a disk, which a simulation drives as well",
    },
    Invariant {
        inside: &["flags"],
        forbidden: &[
            "std::time::Instant",
            "time::Instant",
            "SystemTime",
            "Timestamp::now",
            "std::thread",
            "std::net",
            "std::fs",
            "tokio",
            "crate::sync",
            "Mutex",
            "RwLock",
            "OnceLock",
            "LazyLock",
        ],
        because: "definitions are immutable, and a child must not inherit a lock: no I/O, no clock, no locks",
    },
    Invariant {
        inside: &["phc_compression"],
        forbidden: &["std::thread", "std::net", "std::fs", "std::time", "std::sync", "tokio"],
        because: "a body is compressed where it is asked for: no I/O, no clock, no threads",
    },
    // `config` has the highest level of zstd as a bound.
    Invariant {
        inside: &["spool", "delivery", "client", "capi"],
        forbidden: &["phc_compression"],
        because: "compression is transport's alone",
    },
    // `config` accepts a URL or a header if reqwest's own types do.
    Invariant {
        inside: &[
            "status", "memory", "suggest", "json", "event", "flags", "protocol", "delivery", "client", "capi",
        ],
        forbidden: &["reqwest", "rustls"],
        because: "HTTP and TLS are transport's alone",
    },
];

/// Modules for tools, which no build that ships has.
const TOOLS_ONLY: &[&str] = &["internals"];

/// Modules that may hold `unsafe` code.
const UNSAFE: &[&str] = &["capi", "runtime"];

/// The heading of the table in docs/architecture.md that names the modules, in this order.
const PAGE: &str = "docs/architecture.md";
const HEADING: &str = "## Modules";

/// `layering`
pub(crate) fn task(_: &[String]) -> Outcome<()> {
    let mut sources = BTreeMap::new();
    for file in tracked()?.into_iter().filter(|file| file.ends_with(".rs")) {
        if file.starts_with("src/") || CRATES.iter().any(|(_, folder)| file.starts_with(folder)) {
            sources.insert(file.clone(), read(&file)?);
        }
    }
    let mut found = violations(&sources);
    found.extend(page_differs(&read(PAGE)?));
    for line in &found {
        println!("{line}");
    }
    println!("layering: {} files, {} violations", sources.len(), found.len());
    ensure(found.is_empty(), || "the library is not layered as xtask/src/layering.rs says".to_owned())
}

/// The number of a module's layer.
fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.iter().any(|module| module.name == name))
}

/// The crate that has a module or, by its path, a file, unless it is the library's own.
fn crate_of(module: &str) -> Option<&'static (&'static str, &'static str)> {
    CRATES.iter().find(|(name, folder)| *name == module || module.starts_with(folder))
}

/// `src/delivery/queue.rs` is the module `delivery::queue`, `src/delivery/mod.rs` is `delivery`, and
/// `compression/src/lib.rs` is `phc_compression`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let Some((name, folder)) = crate_of(path) else {
        return path.trim_start_matches("src/").split('/').map(str::to_owned).collect();
    };
    let inside = path.trim_start_matches(folder).trim_start_matches("src/");
    let words = inside.split('/').filter(|word| *word != "lib");
    std::iter::once(*name).chain(words).map(str::to_owned).collect()
}

/// Where a module is, as the page names it.
fn folder_of(module: &str) -> String {
    crate_of(module).map_or_else(|| format!("src/{module}/"), |(_, folder)| (*folder).to_owned())
}

/// All sources, by module.
struct Tree {
    files: BTreeMap<Vec<String>, (String, File)>,
}

impl Tree {
    fn new(sources: &BTreeMap<String, String>) -> Self {
        let mut files = BTreeMap::new();
        for (name, text) in sources {
            files.insert(module_of(name), (name.clone(), rust::parse(text)));
        }
        // What is declared for tests only goes, with all that is below it.
        let mut gone = Vec::new();
        for (module, (_, file)) in &files {
            let parent = if module.as_slice() == ["lib"] { [].as_slice() } else { module.as_slice() };
            gone.extend(file.test_modules.iter().map(|name| [parent, std::slice::from_ref(name)].concat()));
        }
        gone.extend(TOOLS_ONLY.iter().map(|name| vec![(*name).to_owned()]));
        files.retain(|module, _| !gone.iter().any(|gone| module.starts_with(gone)));
        Self { files }
    }

    /// Where a path leads, as far as it is known from the place in which it is written: words from the root.
    fn absolute(&self, module: &[String], path: &UsedPath) -> Option<Vec<String>> {
        let here: Vec<String> = module.iter().chain(&path.inside).cloned().collect();
        let first = path.words.first()?.as_str();
        let supers = path.words.iter().take_while(|word| *word == "super").count();
        let rest = |count: usize| path.words.get(count..).unwrap_or_default().to_vec();
        match first {
            "crate" => match module.first().and_then(|top| crate_of(top)) {
                Some((name, _)) => Some([vec![(*name).to_owned()], rest(1)].concat()),
                None => Some(rest(1)),
            },
            name if crate_of(name).is_some() => Some(path.words.clone()),
            "super" => Some([here.get(..here.len().checked_sub(supers)?)?, &rest(supers)].concat()),
            "self" => Some([here, rest(1)].concat()),
            // A child module by its name alone.
            _ => {
                let child = [here, vec![first.to_owned()]].concat();
                self.files.contains_key(&child).then(|| [child, rest(1)].concat())
            }
        }
    }

    /// The file that a path leads to. What a module imports to hand it on is where it comes from.
    fn file(&self, words: &[String], depth: usize) -> Option<Vec<String>> {
        let known = (1..=words.len()).rev().find_map(|count| {
            let front = words.get(..count)?;
            self.files.contains_key(front).then(|| front.to_vec())
        })?;
        let (name, (_, file)) = (words.get(known.len()), self.files.get(&known)?);
        let handed_on = file.paths.iter().filter(|path| path.is_use && path.is_public);
        for path in handed_on {
            if depth < 8
                && name.is_some()
                && path.words.last() == name
                && let Some(origin) = self.absolute(&known, path)
            {
                return self.file(&origin, depth + 1);
            }
        }
        Some(known)
    }
}

/// Every violation as one line: file, line, what is wrong.
fn violations(sources: &BTreeMap<String, String>) -> Vec<String> {
    let tree = Tree::new(sources);
    let mut found = Vec::new();
    let mut unknown = BTreeSet::new();
    // Between top-level modules, and between the files of one.
    let (mut above, mut beside) = (Arrows::default(), Arrows::default());
    for (module, (name, file)) in &tree.files {
        let Some(top) = module.first().filter(|top| *top != "lib") else { continue };
        if layer(top).is_none() && unknown.insert(top.clone()) {
            found.push(format!("{name}: the module `{top}` is not in the table of layers"));
        }
        for path in &file.paths {
            found.extend(forbidden(name, top, path));
            let Some(words) = tree.absolute(module, path) else { continue };
            let Some(target) = words.first() else { continue };
            if tree.files.keys().all(|known| known.first() != Some(target)) {
                continue;
            }
            let place = format!("{name}:{}", path.line);
            if target == top {
                let other = tree.file(&words, 0);
                // A folder's own module is the front of all its files, which may use each other through it.
                if let Some(other) =
                    other.filter(|other| other != module && other.len() > 1 && module.len() > 1)
                {
                    beside.add(&module.join("::"), &other.join("::"), &place);
                }
                continue;
            }
            above.add(top, target, &place);
            if let (Some(from), Some(to)) = (layer(top), layer(target))
                && to > from
            {
                found.push(format!("{place}: `{top}` imports `{target}`, which is a higher layer"));
            }
        }
        if !UNSAFE.contains(&top.as_str()) {
            for line in &file.unsafes {
                found.push(format!("{name}:{line}: `unsafe` outside {}", UNSAFE.join(" and ")));
            }
        }
    }
    found.extend(above.circles("modules"));
    found.extend(beside.circles("files"));
    found
}

fn forbidden(name: &str, top: &str, path: &UsedPath) -> Option<String> {
    let text = format!("::{}::", path.words.join("::"));
    let rows = INVARIANTS.iter().filter(|row| row.inside.contains(&top));
    rows.flat_map(|row| row.forbidden.iter().map(move |word| (word, row.because)))
        .find(|(word, _)| text.contains(&format!("::{word}::")))
        .map(|(word, because)| format!("{name}:{}: `{top}` uses `{word}`: {because}", path.line))
}

/// Imports, each with the first place of it.
#[derive(Default)]
struct Arrows(BTreeMap<String, BTreeMap<String, String>>);

impl Arrows {
    fn add(&mut self, from: &str, to: &str, place: &str) {
        self.0.entry(from.to_owned()).or_default().entry(to.to_owned()).or_insert_with(|| place.to_owned());
    }

    /// The shortest circle through each node that is in one, each circle once.
    fn circles(&self, what: &str) -> Vec<String> {
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        for start in self.0.keys() {
            let Some(circle) = self.circle(start) else { continue };
            let mut members = circle.clone();
            members.sort();
            if known.insert(members) {
                let steps: Vec<_> = circle
                    .iter()
                    .zip(circle.iter().cycle().skip(1))
                    .map(|(from, to)| format!("`{from}` → `{to}` ({})", self.place(from, to)))
                    .collect();
                found.push(format!("a circle of {what}: {}", steps.join(", ")));
            }
        }
        found
    }

    fn place(&self, from: &str, to: &str) -> &str {
        self.0.get(from).and_then(|targets| targets.get(to)).map_or("", String::as_str)
    }

    /// The shortest way from a node back to it.
    fn circle(&self, start: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![start.to_owned()]];
        let mut seen = BTreeSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let targets = way.last().and_then(|last| self.0.get(last));
                for target in targets.into_iter().flat_map(BTreeMap::keys) {
                    if target == start {
                        return Some(way);
                    }
                    if seen.insert(target.clone()) {
                        longer.push([way.clone(), vec![target.clone()]].concat());
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

/// The page names the same modules in the same order.
fn page_differs(page: &str) -> Option<String> {
    let expected: Vec<&str> = LAYERS.iter().copied().flatten().map(|module| module.name).collect();
    let Some((_, section)) = page.split_once(&format!("\n{HEADING}\n")) else {
        return Some(format!("{PAGE}: there is no heading {HEADING:?} with the table of modules"));
    };
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" |").next());
    let named: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter_map(|path| crate_of(path).map(|(name, _)| *name).or_else(|| path.strip_prefix("src/")))
        .map(|name| name.trim_end_matches('/').trim_end_matches(".rs"))
        .collect();
    let place = expected.iter().zip(&named).position(|(expected, named)| expected != named);
    let place = place.or_else(|| (expected.len() != named.len()).then(|| expected.len().min(named.len())))?;
    let word = |words: &[&str]| {
        words.get(place).map_or("nothing more".to_owned(), |word| format!("`{}`", folder_of(word)))
    };
    Some(format!(
        "{PAGE}: the table of modules names {} where {} stands in the layers",
        word(&named),
        word(&expected)
    ))
}

/// `layers`: the table, as docs/architecture.md has it.
pub(crate) fn show(_: &[String]) -> Outcome<()> {
    let sources = tracked()?;
    println!("| module | is for |\n|---|---|");
    for module in LAYERS.iter().copied().flatten() {
        let folder = folder_of(module.name);
        let is_folder = sources.iter().any(|file| file.starts_with(&folder));
        let name = if is_folder { folder } else { format!("src/{}.rs", module.name) };
        println!("| `{name}` | {} |", module.about);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Violations of a tree of these files.
    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let file = |name: &str| match crate_of(name) {
            Some(_) => name.to_owned(),
            None => format!("src/{name}"),
        };
        violations(&files.iter().map(|(name, text)| (file(name), (*text).to_owned())).collect())
    }

    const GOOD: &[(&str, &str)] = &[
        ("lib.rs", "mod status; mod json; mod protocol; mod client;\n#[cfg(test)] mod races;"),
        ("status.rs", "pub struct Error;"),
        ("json/mod.rs", "mod cursor; mod text; pub use text::Text;"),
        ("json/cursor.rs", "use super::Text; use crate::status::Error;"),
        ("json/text.rs", "use crate::status::Error; #[cfg(test)] mod tests { use crate::client::Client; }"),
        ("protocol/mod.rs", "use std::time::Duration; use crate::json::Text;"),
        ("client/mod.rs", "use crate::{json, protocol::*};"),
        ("transport/mod.rs", "use phc_compression::Compressor;"),
        ("compression/src/lib.rs", "mod body; pub struct Compressor; use crate::body::Body;"),
        ("compression/src/body.rs", "pub struct Body;"),
        ("races/mod.rs", "use crate::client::Client; use std::thread;"),
    ];

    fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<String> {
        let kept = GOOD.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        of(&kept.chain(more).copied().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_layered_has_no_violation() {
        assert_eq!(with(&[]), [""; 0]);
    }

    #[test]
    fn an_arrow_upwards_is_found_in_a_use_and_in_an_expression() {
        let upwards = "src/json/text.rs:2: `json` imports `client`, which is a higher layer";
        for text in ["\nuse crate::client::Client;", "\nfn f(_: super::super::client::Client) {}"] {
            let found = with(&[("json/text.rs", text)]);
            assert_eq!(found.first().map(String::as_str), Some(upwards), "{found:?}");
        }
    }

    #[test]
    fn an_arrow_upwards_to_a_crate_is_found() {
        let upwards = "src/json/text.rs:1: `json` imports `phc_compression`, which is a higher layer";
        assert_eq!(with(&[("json/text.rs", "use phc_compression::Compressor;")]), [upwards]);
    }

    #[test]
    fn a_circle_in_a_crate_is_found() {
        let found = with(&[
            ("compression/src/other.rs", "use crate::body::Body;"),
            ("compression/src/body.rs", "use crate::other::f;"),
        ]);
        assert!(
            found.iter().any(|line| line.starts_with("a circle of files: `phc_compression::body`")),
            "{found:?}"
        );
    }

    #[test]
    fn a_circle_of_modules_in_one_layer_is_found() {
        let found =
            with(&[("status.rs", "use crate::sync::Lock;"), ("sync.rs", "use crate::status::Error;")]);
        assert_eq!(
            found,
            ["a circle of modules: `status` → `sync` (src/status.rs:1), `sync` → `status` (src/sync.rs:1)"]
        );
    }

    #[test]
    fn a_circle_of_files_is_found_also_through_what_their_folder_hands_on() {
        for text in ["use super::cursor::Cursor;", "use crate::json::cursor;"] {
            let found = with(&[("json/text.rs", text)]);
            assert!(
                found.iter().any(|line| line.starts_with("a circle of files: `json::cursor`")),
                "{found:?}"
            );
        }
        // What the folder's own module defines makes no circle.
        assert_eq!(with(&[("json/text.rs", "use super::Kind;")]), [""; 0]);
    }

    #[test]
    fn a_module_that_is_in_no_layer_is_found() {
        let found = with(&[("other.rs", "")]);
        assert_eq!(found, ["src/other.rs: the module `other` is not in the table of layers"]);
    }

    #[test]
    fn each_invariant_is_held() {
        for (file, text, part) in [
            (
                "protocol/mod.rs",
                "use std::time::{Duration, Instant};",
                "`protocol` uses `std::time::Instant`",
            ),
            ("protocol/mod.rs", "fn f() { std::time::SystemTime::now(); }", "uses `SystemTime::now`"),
            ("protocol/mod.rs", "use std::thread;", "uses `std::thread`"),
            ("protocol/mod.rs", "use std::net::TcpStream;", "uses `std::net`"),
            ("protocol/mod.rs", "fn f() { std::fs::read(x) }", "uses `std::fs`"),
            ("protocol/mod.rs", "use tokio::sync::Notify;", "uses `tokio`"),
            ("json/text.rs", "use std::sync::Mutex;", "`json` uses `std::sync`"),
            ("flags/mod.rs", "use std::sync::{Arc, Mutex};", "`flags` uses `Mutex`"),
            ("client/mod.rs", "use reqwest::Client;", "`client` uses `reqwest`"),
            ("json/text.rs", "fn f() { unsafe { g() } }", "`unsafe` outside capi and runtime"),
            ("compression/src/body.rs", "fn f() { unsafe { g() } }", "`unsafe` outside capi and runtime"),
            ("compression/src/body.rs", "use std::thread;", "`phc_compression` uses `std::thread`"),
            ("client/mod.rs", "use phc_compression::Compressor;", "`client` uses `phc_compression`"),
        ] {
            let found = with(&[(file, text)]);
            assert!(found.len() == 1 && found[0].contains(part), "{text}: {found:?}");
        }
    }

    #[test]
    fn the_page_names_the_modules_in_their_order() {
        let rows: Vec<_> = LAYERS
            .iter()
            .copied()
            .flatten()
            .map(|one| format!("| `{}` | x |\n", folder_of(one.name)))
            .collect();
        let page = |rows: &[String]| {
            format!("# A\n\n## Modules\n\n| module | is for |\n|---|---|\n{}\n## B\n", rows.concat())
        };
        assert_eq!(page_differs(&page(&rows)), None);
        let at = |name| rows.iter().position(|row| row.contains(name)).unwrap();
        let (json, event) = (at("src/json/"), at("src/event/"));
        let mut other = rows.clone();
        other.swap(json, event);
        assert!(page_differs(&page(&other)).unwrap().contains("names `src/event/` where `src/json/` stands"));
        let page_of_fewer = page(&rows[..at("src/capi/")]);
        assert!(page_differs(&page_of_fewer).unwrap().contains("names nothing more where `src/capi/`"));
        assert!(page_differs("# A\n").is_some());
    }
}
