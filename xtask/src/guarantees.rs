//! Every promise of docs/guarantees.md names a test, and every test that it names exists; and the way back, from a
//! test to its promises.

use crate::arguments::Arguments;
use crate::c::tests_of;
use crate::checks::ensure;
use crate::process::{Outcome, at, files, read, tracked};
use crate::steps::STEPS;

const PAGE: &str = "docs/guarantees.md";
/// What is below is not promised.
const END: &str = "\n## What is not promised";

/// Where the tests of a language are, by the ending of the file's name: folder, and what stands before and behind
/// the name of a test there.
const PLACES: &[(&str, &str, &str, &str)] = &[
    (".c", "tests/c", "TEST(", ")"),
    (".cpp", "tests/cpp", "TEST(", ")"),
    ("_test.go", "bindings/go", "func ", "(t *testing.T)"),
    ("_test.rb", "bindings/ruby/test", "def ", "\n"),
    ("Test.php", "bindings/php/tests", "function ", "("),
];

/// `guarantees [--of TEST]`
pub fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let page = read(PAGE)?;
    match given.option("--of")? {
        Some(test) => of(&page, &test),
        None => check(&page),
    }
}

/// A promise: an item of a list or a row of a table, with the tests in square brackets at its end.
#[derive(Debug)]
struct Promise<'a> {
    line: usize,
    text: &'a str,
    tests: Vec<&'a str>,
}

fn promises(page: &str) -> Vec<Promise<'_>> {
    let page = page.split(END).next().unwrap_or_default();
    let lines: Vec<_> = page.lines().collect();
    let mut promises = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        // The head of a table stands above its dashes.
        let is_head = lines.get(number + 1).is_some_and(|next| next.starts_with("|---"));
        if line.starts_with("- ") || (line.starts_with("| ") && !is_head) {
            promises.push(Promise { line: number + 1, text: line, tests: tests(line) });
        }
    }
    promises
}

/// The names in the last brackets of a line.
fn tests(line: &str) -> Vec<&str> {
    let line = line.trim_end().trim_end_matches('|').trim_end();
    let Some(inner) = line.strip_suffix("`]").and_then(|line| line.rsplit_once("[`")) else {
        return Vec::new();
    };
    inner.1.split("`, `").collect()
}

fn check(page: &str) -> Outcome<()> {
    let promises = promises(page);
    let mut bad = 0;
    let mut named: Vec<&str> = Vec::new();
    for promise in &promises {
        if promise.tests.is_empty() {
            println!("{PAGE}:{}: a promise without a test: {}", promise.line, promise.text);
            bad += 1;
        }
        named.extend(&promise.tests);
    }
    named.sort_unstable();
    named.dedup();
    for name in &named {
        if !exists(name)? {
            println!("FAILED a test that does not exist: {name}");
            bad += 1;
        }
    }
    println!("{} promises, {} tests", promises.len(), named.len());
    ensure(bad == 0, || format!("{PAGE} promises what no test shows"))
}

/// Whether the sources have this test.
fn exists(name: &str) -> Outcome<bool> {
    let Some((kind, test)) = name.split_once(": ") else {
        // A script that is a step.
        return Ok(at(name).is_file() && STEPS.iter().any(|step| step.runs.contains(name)));
    };
    Ok(match kind {
        "scenario" | "vector" => {
            let cases = files(format!("conformance/{kind}s"), ".json")?;
            any_has(&cases, &format!("\"name\": \"{test}\""))?
        }
        "unit" => {
            let sources: Vec<_> =
                tracked()?.into_iter().filter(|file| file.ends_with(".rs")).map(at).collect();
            any_has(&sources, &format!("fn {test}("))?
        }
        "step" => STEPS.iter().any(|step| step.name == test),
        _ => {
            let place = PLACES.iter().find(|(ending, ..)| kind.ends_with(ending));
            let Some((ending, folder, before, behind)) = place else { return Ok(false) };
            let is_registered = !before.starts_with("TEST")
                || tests_of(folder, ending)?.iter().any(|(_, tests)| tests.iter().any(|known| known == test));
            let file = at(folder).join(kind);
            is_registered && file.is_file() && read(file)?.contains(&format!("{before}{test}{behind}"))
        }
    })
}

fn any_has(files: &[std::path::PathBuf], part: &str) -> Outcome<bool> {
    for file in files {
        if read(file)?.contains(part) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which promises a test shows.
fn of(page: &str, test: &str) -> Outcome<()> {
    let promises = promises(page);
    let shown = promises.iter().filter(|promise| promise.tests.iter().any(|name| name.contains(test)));
    let mut count = 0;
    for promise in shown {
        println!("{PAGE}:{}: {}", promise.line, promise.text);
        count += 1;
    }
    ensure(count > 0, || format!("no promise of {PAGE} names {test:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "# A\n\n- One. [`fork.c: fork_when_idle`, `step: tls`]\n- Two.\n\n| when | it is |\n|---|---|\n\
                          | x | y [`unit: z`] |\n\n## What is not promised\n\n- Three.\n";

    #[test]
    fn promises_are_items_and_rows_with_their_tests() {
        let all = promises(SAMPLE);
        let tests: Vec<_> = all.iter().map(|promise| promise.tests.join("+")).collect();
        assert_eq!(tests, ["fork.c: fork_when_idle+step: tls", "", "unit: z"]);
        assert_eq!(all[1].line, 4);
    }

    #[test]
    fn a_promise_without_a_test_fails() {
        assert!(check(SAMPLE).is_err());
    }

    #[test]
    fn tests_of_every_kind_are_found_and_others_are_not() {
        for name in ["step: tls", "tests/abi.sh", "unit: a_promise_without_a_test_fails"] {
            assert!(exists(name).unwrap(), "{name}");
        }
        // Whatever the tests of each language are called now.
        for (ending, folder, before, behind) in PLACES {
            let all = files(folder, ending).unwrap();
            let named = all.iter().find_map(|file| {
                let text = read(file).ok()?;
                let name = text.split(before).skip(1).find_map(|rest| {
                    let name = rest.split(behind).next()?;
                    let is_name = |one: char| one.is_alphanumeric() || one == '_';
                    (!name.is_empty() && name.chars().all(is_name)).then(|| name.to_owned())
                })?;
                Some(format!("{}: {name}", file.file_name()?.to_str()?))
            });
            let named = named.unwrap_or_else(|| panic!("no test in {folder}"));
            assert!(exists(&named).unwrap(), "{named}");
            let (file, _) = named.split_once(": ").unwrap();
            assert!(!exists(&format!("{file}: no_such_test")).unwrap(), "{file}");
        }
        for name in ["fork.c: no_such_test", "tests/none.sh", "step: none", "scenario: none", "x.py: y"] {
            assert!(!exists(name).unwrap(), "{name}");
        }
    }
}
