//! The conformance cases against the binding of each language, through its worker; and the adapter protocol.

use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::c::{Link, shared_library};
use crate::c_target::Target;
use crate::checks::ensure;
use crate::go;
use crate::php_extension::{self, Binding};
use crate::process::{self, Outcome, at, built, command, files, make, root, ship, words};
use crate::ruby_extension::{SWITCH, extension};

const RUNNER: &str = "target/debug/phc-conformance";
const STRICT: &str = "-O1 -g -Wall -Wextra -Werror -Iinclude";

/// Builds a worker with the library in this folder, and returns the command that starts it.
type MakeWorker = fn(&Path) -> Outcome<String>;
const WORKERS: &[(&str, MakeWorker)] = &[
    ("c", c),
    ("cpp", cpp),
    ("go", go),
    ("ruby", ruby),
    ("ruby-ffi", ruby_ffi),
    ("php", php),
    ("php-extension", php_extension),
];

/// `conformance [--sdk SDK | --target TARGET] [PART-OF-A-NAME] [-- OPTION…]`: all cases, or those whose name has the
/// part; options are those of `phc-conformance run`. On another platform it is the worker in C that runs.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let place = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (before, behind) = arguments.split_at(place);
    let mut given = Arguments::new(before);
    let sdk = given.option("--sdk")?.unwrap_or_else(|| "all".to_owned());
    let workers = match given.option("--target")?.map(|name| Target::named(&name)).transpose()? {
        Some(_) if !Target::is_inside() => return Target::enter("conformance", arguments),
        Some(target) => vec![("c", c_on(target)?)],
        None => {
            built()?;
            workers(&sdk, &ship())?
        }
    };
    let mut run = command([at(RUNNER)]);
    run.args(["run", "--level", "all"]);
    for (name, worker) in workers {
        run.arg("--worker").arg(format!("{name}={worker}"));
    }
    for part in given.names() {
        run.args(["--only", &part]);
    }
    std::fs::create_dir_all(at("target/conformance"))?;
    run.args(["--junit", "target/conformance/results.xml", "--json", "target/conformance/results.json"]);
    process::run(run.args(behind.iter().skip(1)))
}

/// `adapter SDK PORT`: serves the adapter protocol until it is stopped. COMPRESSION is the codec.
pub(crate) fn adapter(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let sdk = given.next().unwrap_or_else(|| "c".to_owned());
    let port = given.next().unwrap_or_else(|| "8080".to_owned());
    built()?;
    let worker = worker(&sdk, &ship())?;
    process::run(command([at(RUNNER)]).args(["adapter", "--worker", &worker, "--port", &port]))
}

/// Name and command of the workers of this language, or of all. A language with several ways into the library has one
/// for each: `ruby-ffi` is one of `ruby`.
pub(crate) fn workers(sdk: &str, ship: &Path) -> Outcome<Vec<(&'static str, String)>> {
    let known: Vec<_> = WORKERS.iter().map(|(name, _)| *name).collect();
    ensure(sdk == "all" || known.contains(&sdk), || {
        format!("there is no worker for {sdk:?}; there are {}", known.join(", "))
    })?;
    let is_path = |name: &str| name.strip_prefix(sdk).is_some_and(|path| path.starts_with('-'));
    let wanted = WORKERS.iter().filter(|(name, _)| sdk == "all" || *name == sdk || is_path(name));
    wanted.map(|(name, make)| Ok((*name, make(ship)?))).collect()
}

/// The command of one worker.
pub(crate) fn worker(sdk: &str, ship: &Path) -> Outcome<String> {
    let all = workers(sdk, ship)?;
    Ok(all.into_iter().next().ok_or("name a language")?.1)
}

/// A worker's place: one for each library, so that two runs do not meet.
fn output(ship: &Path, name: &str) -> PathBuf {
    ship.join("workers").join(name)
}

fn headers() -> Outcome<Vec<PathBuf>> {
    let mut all = files("include", "")?;
    all.extend(files("include/phc", "")?);
    all.extend(files("conformance/workers/c", ".h")?);
    Ok(all)
}

fn c(ship: &Path) -> Outcome<String> {
    compiled("cc", ship, &output(ship, "c"))
}

fn c_on(target: &Target) -> Outcome<String> {
    let library = target.library(Link::Shared)?;
    let folder = library.parent().unwrap_or(root());
    let program = compiled(target.compiler, folder, &target.folder().join("worker"))?;
    Ok(format!("{} {program}", target.runner))
}

fn compiled(compiler: &str, folder: &Path, output: &Path) -> Outcome<String> {
    let sources = files("conformance/workers/c", ".c")?;
    let mut compile = command(words(compiler));
    compile.args(["-std=c11", "-D_GNU_SOURCE"]).args(words(STRICT));
    compile.args(&sources).args(shared_library(folder)).arg("-o").arg(output);
    make(output, &[headers()?, sources, vec![folder.join("libphc.so")]].concat(), &mut compile)?;
    Ok(output.display().to_string())
}

fn cpp(ship: &Path) -> Outcome<String> {
    let (json, json_source) = (output(ship, "json.o"), at("conformance/workers/c/json.c"));
    let mut compile = command(["cc", "-std=c11", "-D_GNU_SOURCE", "-c"]);
    compile.args(words(STRICT)).arg(&json_source).arg("-o").arg(&json);
    make(&json, &[headers()?, vec![json_source]].concat(), &mut compile)?;
    let (output, sources) = (output(ship, "cpp"), files("conformance/workers/cpp", ".cpp")?);
    let mut compile = command(["c++", "-std=c++17"]);
    compile.args(words(STRICT)).args(&sources).arg(&json).args(shared_library(ship)).arg("-o").arg(&output);
    make(&output, &[headers()?, sources, vec![json, ship.join("libphc.so")]].concat(), &mut compile)?;
    Ok(output.display().to_string())
}

fn go(ship: &Path) -> Outcome<String> {
    let output = output(ship, "go");
    go::archive(ship)?;
    // Go links again only what it has not linked already, and does not look at the archive for that.
    let _ = std::fs::remove_file(&output);
    let mut build = command(["go", "build", "-o"]);
    process::run(build.arg(&output).arg(".").current_dir(at("conformance/workers/go")))?;
    Ok(output.display().to_string())
}

/// With the C extension.
fn ruby(ship: &Path) -> Outcome<String> {
    Ok(ruby_worker(ship, &format!("RUBYLIB={} {SWITCH}=1", extension()?.display())))
}

#[allow(clippy::unnecessary_wraps, reason = "a row of the table")]
fn ruby_ffi(ship: &Path) -> Outcome<String> {
    Ok(ruby_worker(ship, &format!("{SWITCH}=0")))
}

fn ruby_worker(ship: &Path, variables: &str) -> String {
    let (library, gem) = (ship.join("libphc.so"), at("bindings/ruby/lib"));
    let worker = at("conformance/workers/ruby/worker.rb");
    format!("env PHC_LIBRARY={} {variables} ruby -I{} {}", library.display(), gem.display(), worker.display())
}

fn php(ship: &Path) -> Outcome<String> {
    php_by(Binding::Ffi, ship)
}

fn php_extension(ship: &Path) -> Outcome<String> {
    php_by(Binding::Extension, ship)
}

fn php_by(binding: Binding, ship: &Path) -> Outcome<String> {
    php_extension::build()?;
    let (library, worker) = (ship.join("libphc.so"), at("conformance/workers/php/worker.php"));
    let settings = binding.settings();
    let [library, worker, settings] = [library, worker, settings].map(|path| path.display().to_string());
    Ok(format!("env PHC_LIBRARY={library} PHP_INI_SCAN_DIR={settings} php {worker}"))
}
