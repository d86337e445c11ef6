//! phc-cli, the program itself: against the sink, servers with TLS, proxies, and spools made for the run.

mod connection;
mod drain;
mod import;
mod sending;
mod spool;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::checks::{Checks, ensure};
use crate::process::{Outcome, TempFolder, at, command, limited, programs, quietly, run};
use crate::sink::Sink;

/// `cli [--binary FILE]`: without a file, one is built.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let binary = Arguments::new(arguments).option("--binary")?;
    let binary = if let Some(binary) = binary {
        std::fs::canonicalize(binary)?
    } else {
        programs()?;
        at("target/debug/phc-cli")
    };
    let mut test = Cli::new(binary)?;
    help(&mut test)?;
    spool::all(&mut test)?;
    drain::all(&mut test)?;
    import::all(&mut test)?;
    sending::all(&mut test)?;
    connection::all(&mut test)?;
    test.checks.finish("phc-cli")
}

/// The program, and what it said last.
struct Cli {
    binary: PathBuf,
    work: TempFolder,
    checks: Checks,
    output: String,
    errors: String,
}

impl Cli {
    fn new(binary: PathBuf) -> Outcome<Self> {
        let (output, errors) = (String::new(), String::new());
        Ok(Cli { binary, work: TempFolder::new()?, checks: Checks::default(), output, errors })
    }

    /// A path in the folder of the run.
    fn path(&self, name: &str) -> String {
        self.work.join(name).display().to_string()
    }

    /// Runs it; it ends with this exit code, and its output and its errors together have these words.
    fn expect(&mut self, what: &str, arguments: &[&str], code: i32, expected: &[&str]) -> Outcome<()> {
        self.expect_with(what, &[], arguments, "", code, expected)
    }

    /// The same with a program before it, such as strace, and with this text on standard input.
    fn expect_with(
        &mut self,
        what: &str,
        before: &[&str],
        arguments: &[&str],
        input: &str,
        code: i32,
        expected: &[&str],
    ) -> Outcome<()> {
        let binary = self.binary.display().to_string();
        let words: Vec<&str> = before.iter().chain([&binary.as_str()]).chain(arguments).copied().collect();
        let status = self.run(&words, input)?;
        let said = format!("{}{}", self.output, self.errors);
        let missing: Vec<_> = expected.iter().filter(|words| !said.contains(**words)).collect();
        let outcome = ensure(status.code() == Some(code) && missing.is_empty(), || {
            format!("{status}, expected {code}; without {missing:?}:\n{said}")
        });
        self.checks.check(what, outcome);
        Ok(())
    }

    /// Starts it, without standard input. In the background of a script, Ctrl-C is ignored: not by the program then.
    fn spawn(&self, arguments: &[&str]) -> Outcome<Running> {
        let mut program = command(["env", "--default-signal=INT"]);
        program.arg(&self.binary);
        self.spawn_by(program, arguments)
    }

    /// The same by this command, which becomes the program.
    fn spawn_by(&self, program: Command, arguments: &[&str]) -> Outcome<Running> {
        self.spawn_reading(Stdio::null(), program, arguments)
    }

    /// The same, with this standard input.
    fn spawn_reading(&self, input: Stdio, mut program: Command, arguments: &[&str]) -> Outcome<Running> {
        let said = self.work.join("running");
        let output = std::fs::File::create(&said)?;
        program.args(arguments).env_remove("POSTHOG_HOST").env_remove("POSTHOG_API_KEY");
        let child = program.stdin(input).stdout(output.try_clone()?).stderr(output).spawn()?;
        Ok(Running { child, said })
    }

    /// Runs a command line, with this text on standard input, and keeps what it says.
    fn run(&mut self, words: &[&str], input: &str) -> Outcome<ExitStatus> {
        let mut program = command(words);
        program.env_remove("POSTHOG_HOST").env_remove("POSTHOG_API_KEY");
        let file = self.work.join("input");
        std::fs::write(&file, input)?;
        let ended = limited(300, &program).stdin(Stdio::from(std::fs::File::open(file)?)).output()?;
        self.output = String::from_utf8_lossy(&ended.stdout).into_owned();
        self.errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        Ok(ended.status)
    }
}

/// The program while it runs. It ends with this value.
struct Running {
    child: Child,
    /// What it says.
    said: PathBuf,
}

impl Running {
    /// Sends it a signal.
    fn signal(&self, signal: &str) -> Outcome<()> {
        run(command(["kill", "-s", signal]).arg(self.child.id().to_string()))
    }

    /// Sends it a signal, waits for its end, and returns its exit code and what it has said.
    fn end(self, signal: &str) -> Outcome<(Option<i32>, String)> {
        self.signal(signal)?;
        self.wait()
    }

    /// Waits so long for its end; false if it has not come.
    fn ends_within(&mut self, limit: Duration) -> Outcome<bool> {
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > limit {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }

    /// Waits for its end.
    fn wait(mut self) -> Outcome<(Option<i32>, String)> {
        let status = self.child.wait()?;
        Ok((status.code(), std::fs::read_to_string(&self.said)?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Help texts, man pages and completions.
fn help(test: &mut Cli) -> Outcome<()> {
    const COMMANDS: [&str; 8] =
        ["", "check", "send", "spool", "spool list", "spool drain", "spool export", "spool discard"];
    for name in COMMANDS {
        let mut arguments: Vec<&str> = name.split_whitespace().collect();
        arguments.push("--help");
        test.expect(
            &format!("help: {name:?}"),
            &arguments,
            0,
            &["Usage: phc-cli", "Exit codes:", "-h, --help"],
        )?;
    }
    test.expect("no arguments", &[], 2, &["Usage: phc-cli"])?;
    test.expect("an unknown option", &["spool", "list", "--al", "x"], 2, &["--al"])?;
    let folder = test.path("man");
    std::fs::create_dir(&folder)?;
    test.expect("man pages", &["man-pages", &folder], 0, &[])?;
    let page = std::fs::read_to_string(format!("{folder}/phc-cli-spool-discard.1"))?;
    let is_page = page.contains(".TH phc-cli-spool-discard 1") && page.contains("\\-\\-yes");
    test.checks.that("each command has a man page", is_page);
    test.expect(
        "man pages into no folder",
        &["man-pages", "/nonexistent/x"],
        3,
        &["/nonexistent/x cannot be written to"],
    )?;
    test.expect("completions for bash", &["completions", "bash"], 0, &["--distinct-id"])?;
    let script = test.path("completions.bash");
    std::fs::write(&script, &test.output)?;
    let check = format!(
        ". {script}; COMP_WORDS=(phc-cli spool di); COMP_CWORD=2; f=$(complete -p phc-cli | sed 's/.*-F //;s/ .*//'); $f phc-cli di spool; echo \"${{COMPREPLY[*]}}\""
    );
    let completed = quietly(command(["bash", "-c"]).arg(check))?;
    test.checks.that("bash completes a command", completed.contains("discard"));
    test.expect("completions for zsh", &["completions", "zsh"], 0, &["#compdef phc-cli"])?;
    test.expect("completions for fish", &["completions", "fish"], 0, &["complete -c phc-cli"])
}

/// How many requests a space of the sink has had.
fn requests(sink: &Sink, space: &str) -> Outcome<usize> {
    let summary = sink.get(&format!("{space}/_summary"))?;
    let number = summary.split("\"requests\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
    Ok(number.ok_or("the summary has no number of requests")?.parse()?)
}

/// A file: its path, its mode, its inode and its bytes.
type Seen = (PathBuf, u32, u64, Vec<u8>);

/// Every file below a folder.
fn snapshot(folder: &Path) -> Outcome<Vec<Seen>> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let data = std::fs::symlink_metadata(&path)?;
            let bytes = if data.is_file() { std::fs::read(&path)? } else { Vec::new() };
            found.push((path.clone(), data.mode(), data.ino(), bytes));
            if data.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
