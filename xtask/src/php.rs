//! The PHP package: its files, the package as it is installed, its README, and its tests.

use std::process::Command;

use crate::arguments::Arguments;
use crate::checks::ensure;
use crate::process::{
    self, Outcome, TempFolder, at, built, command, files, limited, quietly, read, ship, stdout, words, write,
};
use crate::sink::Sink;

const PACKAGE: &str = "bindings/php";

/// `php [NAME…]`: tests whose names match, or everything.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let names = Arguments::new(arguments).names();
    built()?;
    let work = TempFolder::new()?;
    let sink = Sink::start(&[])?;
    if names.is_empty() {
        sources()?;
        archive(&work)?;
        installed(&work, &sink)?;
    }
    let mut phpunit = php("phpunit", &work, &sink);
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

fn php(program: &str, work: &TempFolder, sink: &Sink) -> Command {
    let mut php = command(words(program));
    php.env("PHC_LIBRARY", ship().join("libphc.so")).env("PHC_SINK", sink.address());
    composer_at(&mut php, work);
    php
}

fn composer_at(command: &mut Command, work: &TempFolder) {
    command.env("COMPOSER_ALLOW_SUPERUSER", "1").env("COMPOSER_HOME", work.join("composer"));
}

/// What the sources say twice is the same.
fn sources() -> Outcome<()> {
    process::run(&mut command(["php", "scripts/php-declarations.php", "--check"]))?;
    let version = format!("const VERSION = '{}';", process::version()?);
    ensure(read(format!("{PACKAGE}/src/PostHog.php"))?.contains(&version), || {
        "PostHog::VERSION is not the version of libphc".to_owned()
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

/// The package in somebody's project, and the quickstart of its README there.
fn installed(work: &TempFolder, sink: &Sink) -> Outcome<()> {
    let project = work.join("project");
    std::fs::create_dir(&project)?;
    let repository = format!(
        r#"{{"type": "path", "url": "{}", "options": {{"symlink": false, "versions": {{"libphc/posthog-php-phc": "{}"}}}}}}"#,
        at(PACKAGE).display(),
        process::version()?
    );
    write(
        project.join("composer.json"),
        format!(
            r#"{{"repositories": [{{"packagist.org": false}}, {repository}], "require": {{"libphc/posthog-php-phc": "*"}}}}"#
        ),
    )?;
    let mut install = command(["composer", "install", "--no-interaction", "-q", "-d"]);
    composer_at(install.arg(&project), work);
    quietly(&mut install)?;
    let readme = read(format!("{PACKAGE}/README.md"))?;
    let quickstart = readme.split("```php quickstart\n").nth(1).and_then(|rest| rest.split("```").next());
    write(project.join("quickstart.php"), quickstart.ok_or("the README has no quickstart")?)?;
    let mut program = php("php quickstart.php", work, sink);
    program.env("POSTHOG_API_KEY", "phc_readme").env("POSTHOG_HOST", format!("{}/quickstart", sink.url()));
    process::run(&mut limited(60, program.current_dir(&project)))?;
    let reached = sink.get("/quickstart/_wait?accepted=3&timeout_ms=10000")?;
    ensure(reached.contains("\"ok\":true"), || "the quickstart's events did not arrive".to_owned())?;
    sink.no_violations("/quickstart")
}
