//! The PHP package: its files, the package as it is installed, its README, and its tests, which run by FFI and by the
//! extension.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Arguments;
use crate::checks::ensure;
use crate::php_examples;
use crate::php_extension::{self, Binding};
use crate::process::{
    self, Outcome, TempFolder, at, built, command, files, limited, quietly, read, ship, stdout, words, write,
};
use crate::sink::Sink;

const PACKAGE: &str = "bindings/php";
/// The targets of a release that have a library for PHP.
const LINUX: &str = "x86_64-linux-gnu aarch64-linux-gnu x86_64-linux-musl aarch64-linux-musl";

/// `php [NAME…]`: tests whose names match, or everything.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let names = Arguments::new(arguments).names();
    built()?;
    let work = TempFolder::new()?;
    let sink = Sink::start(&[])?;
    php_extension::build()?;
    if names.is_empty() {
        sources()?;
        php_extension::sources()?;
        archive(&work)?;
        let project = installed(&work)?;
        for binding in Binding::ALL {
            quickstart(&project, &work, &sink, binding)?;
        }
    }
    for binding in Binding::ALL {
        println!("By {binding}:");
        tests(&names, &work, &sink, binding)?;
    }
    if names.is_empty() {
        php_examples::laravel(&work, &sink, Binding::Ffi)?;
    }
    Ok(())
}

fn tests(names: &[String], work: &TempFolder, sink: &Sink, binding: Binding) -> Outcome<()> {
    let mut phpunit = php("phpunit", work, sink);
    binding.choose(&mut phpunit);
    phpunit.arg("--cache-result-file").arg(work.join("phpunit")).current_dir(at(PACKAGE));
    if !names.is_empty() {
        phpunit.args(["--filter", &names.join("|")]);
    }
    let mut is_empty = false;
    let status = process::lines(&mut limited(300, &phpunit), |line| {
        is_empty |= line.contains("No tests executed");
        println!("{line}");
    })?;
    ensure(!is_empty, || format!("no test matches {}", names.join("|")))?;
    ensure(status.success(), || "PHP failed".to_owned())
}

pub(crate) fn php(program: &str, work: &TempFolder, sink: &Sink) -> Command {
    let mut php = command(words(program));
    php.env("PHC_LIBRARY", ship().join("libphc.so")).env("PHC_SINK", sink.address());
    composer_at(&mut php, work);
    php
}

pub(crate) fn composer_at(command: &mut Command, work: &TempFolder) {
    command.env("COMPOSER_ALLOW_SUPERUSER", "1").env("COMPOSER_HOME", work.join("composer"));
}

/// What the sources say twice is the same.
fn sources() -> Outcome<()> {
    process::run(&mut command(["php", "scripts/php-declarations.php", "--check"]))?;
    let version = format!("const VERSION = '{}';", process::version()?);
    ensure(read(format!("{PACKAGE}/src/PostHog.php"))?.contains(&version), || {
        "PostHog::VERSION is not the version of libphc".to_owned()
    })?;
    let version = format!("#define PHP_PHC_VERSION \"{}\"", process::version()?);
    ensure(read(format!("{}/php_phc.h", php_extension::SOURCES))?.contains(&version), || {
        "PHP_PHC_VERSION is not the version of libphc".to_owned()
    })?;
    let preload = read(format!("{PACKAGE}/preload.php"))?;
    let mut listed: Vec<&str> = preload.split('\'').skip(1).step_by(2).collect();
    listed.retain(|word| word.chars().all(|character| character.is_alphanumeric() || character == '_'));
    listed.sort_unstable();
    // A class has a file of its own, which begins with a capital letter.
    let mut classes: Vec<_> =
        files(format!("{PACKAGE}/src"), ".php")?.iter().map(|file| process::stem(file)).collect();
    classes.retain(|name| name.starts_with(|first: char| first.is_uppercase()));
    ensure(listed == classes, || format!("preload.php lists {listed:?}, and the classes are {classes:?}"))
}

/// The package that composer makes.
fn archive(work: &TempFolder) -> Outcome<()> {
    let composer = |line: &str| {
        let mut composer = command(words(line));
        composer_at(&mut composer, work);
        quietly(&mut composer)
    };
    composer("composer validate --strict --no-interaction bindings/php/composer.json")?;
    let folder = work.path().display();
    composer(&format!(
        "composer archive --no-interaction -q -d bindings/php --format=tar --dir {folder} --file archive"
    ))?;
    let listed = stdout(command(["tar", "-tf"]).arg(work.join("archive.tar")))?;
    let has = |start: &str| listed.lines().any(|line| line.starts_with(start));
    ensure(has("src/Client.php"), || "the package's archive has no sources".to_owned())?;
    ensure(!has("tests/"), || "the package's archive has tests".to_owned())
}

/// The package of a release in a project, without any other libphc. Returns the project.
fn installed(work: &TempFolder) -> Outcome<PathBuf> {
    let release = work.join("release");
    let packed = pack(work, &release, LINUX)?;
    let again = work.join("again");
    pack(work, &again, LINUX)?;
    let zip = format!("posthog-php-phc-{}.zip", process::version()?);
    ensure(std::fs::read(release.join(&zip))? == std::fs::read(again.join(&zip))?, || {
        "two packages of the same files differ".to_owned()
    })?;
    ensure(!packed.contains("left out"), || format!("all targets are there, and it said: {packed}"))?;
    let fewer = pack(work, &work.join("fewer"), "x86_64-linux-gnu x86_64-windows")?;
    ensure(
        fewer.contains("left out") && fewer.contains(": linux-aarch64 linux-x86_64-musl linux-aarch64-musl"),
        || format!("three targets are left out, and it said: {fewer}"),
    )?;

    let project = work.join("project");
    std::fs::create_dir(&project)?;
    let repository = format!(r#"{{"type": "artifact", "url": "{}"}}"#, release.join("composer").display());
    write(
        project.join("composer.json"),
        format!(r#"{{"repositories": [{{"packagist.org": false}}, {repository}]}}"#),
    )?;
    let mut require = command(words("composer require --no-interaction -q libphc/posthog-php-phc -d"));
    composer_at(require.arg(&project), work);
    quietly(&mut require)?;
    // The sources of the extension are in it, to be built there.
    for file in files(php_extension::SOURCES, "")? {
        let name = file.file_name().unwrap_or_default();
        let packed = project.join("vendor/libphc/posthog-php-phc/ext").join(name);
        ensure(std::fs::read(&packed)? == std::fs::read(&file)?, || format!("{} differs", packed.display()))?;
    }
    Ok(project)
}

/// The quickstart of the README, in the project.
fn quickstart(project: &Path, work: &TempFolder, sink: &Sink, binding: Binding) -> Outcome<()> {
    let readme = read(format!("{PACKAGE}/README.md"))?;
    let quickstart = readme.split("```php quickstart\n").nth(1).and_then(|rest| rest.split("```").next());
    write(project.join("quickstart.php"), quickstart.ok_or("the README has no quickstart")?)?;
    let space = format!("/quickstart/{binding}");
    let mut program = php("php quickstart.php", work, sink);
    binding.choose(&mut program);
    program.env_remove("PHC_LIBRARY").env_remove("LD_LIBRARY_PATH");
    program.env("POSTHOG_API_KEY", "phc_readme").env("POSTHOG_HOST", format!("{}{space}", sink.url()));
    process::run(&mut limited(60, program.current_dir(project)))?;
    let reached = sink.get(&format!("{space}/_wait?accepted=3&timeout_ms=10000"))?;
    ensure(reached.contains("\"ok\":true"), || "the quickstart's events did not arrive".to_owned())?;
    sink.no_violations(&space)
}

/// Packs a release into a folder; what it said. Every target has the library that was built here: one is loaded.
fn pack(work: &TempFolder, out: &Path, targets: &str) -> Outcome<String> {
    let (dist, version) = (work.join("dist"), process::version()?);
    for target in targets.split(' ') {
        let (lib, doc) = (dist.join(target).join("lib"), dist.join(target).join("share/doc/libphc"));
        std::fs::create_dir_all(&lib)?;
        std::fs::create_dir_all(&doc)?;
        std::fs::copy(ship().join("libphc.so"), lib.join(format!("libphc.so.{version}")))?;
        write(doc.join("THIRD-PARTY.txt"), target)?;
    }
    std::fs::create_dir_all(out)?;
    let mut script = command(["scripts/dist/pack/composer.sh"]);
    script.env("PHC_VERSION", version).env("PHC_TARGETS", targets).env("PHC_DIST", dist).env("PHC_OUT", out);
    stdout(&mut script)
}
