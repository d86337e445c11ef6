//! The PHP extension phc: built for this machine's PHP, and what its sources must be.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{self, Outcome, at, command, files, stdout, words};

pub(crate) const SOURCES: &str = "bindings/php/ext";
const BUILD: &str = "target/php-ext";
/// As its own build has them, and further ones.
const WARNINGS: &str = "-fsyntax-only -Wall -Wextra -Wno-unused-parameter -Werror";

/// What calls libphc in PHP.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Binding {
    Ffi,
    /// Without FFI: it does not take the extension's place.
    Extension,
}

impl fmt::Display for Binding {
    /// As PHP's Client::binding.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Ffi => "ffi",
            Self::Extension => "extension",
        })
    }
}

impl Binding {
    pub(crate) const ALL: [Self; 2] = [Self::Ffi, Self::Extension];

    /// For PHP_INI_SCAN_DIR, once the extension is built.
    pub(crate) fn settings(self) -> PathBuf {
        at(BUILD).join("ini").join(self.to_string())
    }

    /// Has the PHP that a command starts use it. PHC_BINDING is what the tests expect.
    pub(crate) fn choose(self, command: &mut Command) {
        command.env("PHP_INI_SCAN_DIR", self.settings()).env("PHC_BINDING", self.to_string());
    }
}

/// Builds it, and returns its file.
pub(crate) fn build() -> Outcome<PathBuf> {
    process::run(&mut command(["scripts/php-extension.sh", BUILD]))?;
    Ok(at(BUILD).join("modules/phc.so"))
}

/// It declares what libphc's headers declare, and compiles for PHP with threads, which Debian has not.
pub(crate) fn sources() -> Outcome<()> {
    let mut compile = command(words("cc -std=c11 -Iinclude -I"));
    compile.arg(at(SOURCES)).args(words(WARNINGS)).arg("bindings/php/tests/ext/declarations.c");
    process::run(&mut compile)?;
    let includes = stdout(&mut command(["php-config", "--includes"]))?;
    let mut compile = command(words("cc -std=gnu11 -D_GNU_SOURCE -DHAVE_CONFIG_H -DCOMPILE_DL_PHC -DZTS"));
    compile.arg("-DZEND_ENABLE_STATIC_TSRMLS_CACHE=1").arg("-I").arg(at(BUILD)).args(words(&includes));
    process::run(compile.args(words(WARNINGS)).args(files(SOURCES, ".c")?))
}
