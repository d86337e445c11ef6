//! The C extension of the Ruby gem: built strictly, and under the tools that see what a test cannot.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checks::ensure;
use crate::process::{Outcome, at, command, files, limited, make, read, run, said, stdout, words, write};
use crate::ruby::ruby;
use crate::sanitize::VALGRIND;
use crate::sink::Sink;

const SOURCES: &str = "bindings/ruby/ext/posthog_phc";
const STRICT: &str = "-Wall -Wextra -Werror";
const ADDRESS: &str = "-Wall -Wextra -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined";
/// How many values the test with a collection at each allocation has: the tools take a second or more for each.
const STRESSED: (&str, &str) = ("PHC_TEST_STRESSED", "8");
/// With 0 the gem does without its C extension.
pub(crate) const SWITCH: &str = "POSTHOG_PHC_EXTENSION";

/// Builds the extension, and returns the folder from which Ruby loads it.
pub(crate) fn extension() -> Outcome<PathBuf> {
    build("target/ruby", SOURCES, STRICT)
}

fn build(folder: &str, sources: &str, flags: &str) -> Outcome<PathBuf> {
    let folder = at(folder);
    let inputs = [files(sources, ".c")?, files(sources, ".h")?, files(sources, ".rb")?].concat();
    std::fs::create_dir_all(folder.join("build"))?;
    let script = format!(
        "POSTHOG_PHC_CFLAGS='{flags}' ruby {}/extconf.rb && make clean && make && \
         mkdir -p ../posthog_phc && cp posthog_phc_ext.so ../posthog_phc",
        at(sources).display()
    );
    let mut build = command(["sh", "-c", &script]);
    build.current_dir(folder.join("build")).stdout(Stdio::null());
    make(&folder.join("posthog_phc/posthog_phc_ext.so"), &inputs, &mut build)?;
    Ok(folder)
}

/// The tests of the extension under AddressSanitizer and UndefinedBehaviorSanitizer. They do not see the jump with
/// which an exception leaves a function, so tests with such ones are left out. So is the one that forks: gcc's
/// runtime before 14 leaves its own locks in a child as another thread held them at the fork, and the child hangs.
pub(crate) fn under_address() -> Outcome<()> {
    let folder = build("target/ruby-address", SOURCES, ADDRESS)?;
    run(&mut address_tests(
        &folder,
        &["--exclude", "/leave|arguments_that|after_a_fork/"],
        &Sink::start(&[])?,
    )?)
}

/// A buffer on the stack that is said to be larger than it is.
pub(crate) fn address_catches_a_fault() -> Outcome<()> {
    let (folder, sources) = ("target/ruby-fault", "target/ruby-fault/sources");
    std::fs::create_dir_all(at(sources))?;
    for file in files(SOURCES, "")? {
        std::fs::copy(&file, at(sources).join(file.file_name().unwrap_or_default()))?;
    }
    let (buffer, size) = (format!("{sources}/buffer.c"), "sizeof(out->first)");
    let text = read(&buffer)?;
    ensure(text.contains(size), || format!("buffer.c has no {size}"))?;
    write(&buffer, text.replace(size, &format!("{size} + 64")))?;
    let folder = build(folder, sources, ADDRESS)?;
    let mut tests = address_tests(&folder, &["-n", "/every_length/"], &Sink::start(&[])?)?;
    let (succeeds, text) = said(&mut tests)?;
    let is_caught = !succeeds && text.contains("stack-buffer-overflow");
    ensure(is_caught, || format!("{text}\nAddressSanitizer does not see an overflow of the stack"))
}

fn address_tests(folder: &Path, selection: &[&str], sink: &Sink) -> Outcome<Command> {
    let file = |name| stdout(command(["gcc"]).arg(format!("-print-file-name={name}")));
    let preload = format!("{} {}", file("libasan.so")?.trim_end(), file("libubsan.so")?.trim_end());
    let mut tests = ruby(sink)?;
    tests.args(["bindings/ruby/test/run.rb", "extension", "--"]).args(selection);
    tests.env("RUBYLIB", folder).env("LD_PRELOAD", preload);
    tests.env("ASAN_OPTIONS", "detect_leaks=0:use_sigaltstack=0").env("UBSAN_OPTIONS", "print_stacktrace=1");
    let (name, values) = STRESSED;
    tests.env(name, values);
    Ok(limited(600, &tests))
}

/// Some of them under valgrind. Ruby looks at memory that was never written, by design.
pub(crate) fn under_valgrind() -> Outcome<()> {
    let sink = Sink::start(&[])?;
    let ruby = ruby(&sink)?;
    let mut tests = command(words(VALGRIND));
    tests.args(["--undef-value-errors=no", "--suppressions=tests/sanitizers/ruby.supp"]);
    tests.arg(ruby.get_program()).args(ruby.get_args());
    tests.args([
        "bindings/ruby/test/run.rb",
        "extension",
        "--",
        "-n",
        "/alone|left_to_ruby|every_length|stress/",
    ]);
    for (name, value) in ruby.get_envs() {
        if let Some(value) = value {
            tests.env(name, value);
        }
    }
    let (name, values) = STRESSED;
    tests.env(name, values).env("PHC_TEST_SECONDS", "800");
    run(&mut limited(900, &tests))
}
