//! The Laravel application in `examples/`, installed by Composer as its users do it, but with Debian's Laravel in the
//! place of Packagist's. PHP-FPM serves the other example in `php_hosts`.

use crate::php::{composer_at, php};
use crate::php_extension::Binding;
use crate::process::{self, Outcome, TempFolder, at, command, limited, quietly, read, words, write};
use crate::sink::Sink;

const LARAVEL: &str = "examples/php-laravel";
/// Where the example's composer.json says that the package is.
const PACKAGE: &str = r#"{"type": "path", "url": "../../bindings/php"}"#;

pub(crate) fn laravel(work: &TempFolder, sink: &Sink, binding: Binding) -> Outcome<()> {
    let project = work.join(format!("laravel-{binding}"));
    process::run(command(["cp", "-r"]).arg(at(LARAVEL)).arg(&project))?;
    let debian = project.join("debian");
    std::fs::create_dir(&debian)?;
    write(
        debian.join("composer.json"),
        r#"{"name": "laravel/framework", "version": "8.83.26", "autoload": {"files": ["laravel.php"]}}"#,
    )?;
    write(debian.join("laravel.php"), "<?php\nrequire_once 'Illuminate/autoload.php';\n")?;
    let repositories = format!(
        r#"{{"packagist.org": false}}, {{"type": "path", "url": "{}"}}, {{"type": "path", "url": "debian"}}"#,
        at("bindings/php").display()
    );
    let file = project.join("composer.json");
    write(&file, read(&file)?.replace(PACKAGE, &repositories))?;
    let mut install = command(words("composer install --no-interaction -q -d"));
    composer_at(install.arg(&project), work);
    quietly(&mut install)?;

    let mut tests = php("phpunit --do-not-cache-result", work, sink);
    binding.choose(&mut tests);
    tests.env("PROJECT", &project).arg(at(LARAVEL).join("tests"));
    process::run(&mut limited(300, &tests))
}
