//! Other programs: how they are started, limited in time, and read.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The first error ends a task; its text tells the reader what to do next.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long output is read once a program has ended: what it left in the background may keep the pipe open. So
/// long without a line, and so long at all.
const QUIET: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(10);

/// The repository.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// A path in the repository.
pub(crate) fn at(path: impl AsRef<Path>) -> PathBuf {
    root().join(path)
}

/// A program with its arguments, in the repository's root, and in the environment that this program was started
/// from: what `cargo run` adds to it would make build scripts run again that look at it, such as ring's.
pub(crate) fn command<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut words = words.into_iter();
    let mut command = words.next().map_or_else(|| Command::new("false"), Command::new);
    command.args(words).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|front| name_text.starts_with(front)) {
            command.env_remove(&name);
        }
    }
    command.env_remove("CARGO").env_remove("RUST_RECURSION_COUNT");
    if let Some(paths) = std::env::var_os("LD_LIBRARY_PATH") {
        let is_cargos = |path: &Path| {
            path.starts_with(at("target")) || path.components().any(|part| part.as_os_str() == "toolchains")
        };
        let own: Vec<PathBuf> = std::env::split_paths(&paths).filter(|path| !is_cargos(path)).collect();
        match std::env::join_paths(&own) {
            Ok(own) if !own.is_empty() => command.env("LD_LIBRARY_PATH", own),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

/// The words of a command line without quotes.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// This program, with other arguments.
pub(crate) fn myself(words: &[&str]) -> Outcome<Command> {
    let mut all = vec![std::env::current_exe()?.into_os_string()];
    all.extend(words.iter().map(Into::into));
    Ok(command(all))
}

/// Cargo, as make or the developer names it.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut command = command([std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())]);
    command.args(words(arguments));
    command
}

/// The same program under a time limit. `timeout` ends its whole process group, and is itself ended when this
/// program is, so that nothing outlives an interrupted run.
pub(crate) fn limited(seconds: u64, inner: &Command) -> Command {
    let mut outer = command(["setpriv", "--pdeathsig", "TERM", "timeout", "--kill-after=10"]);
    outer.arg(seconds.to_string()).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

/// How `timeout` ends when the time was up.
pub(crate) const TIMED_OUT: i32 = 124;

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let word = |word: &OsStr| word.to_string_lossy().into_owned();
    let mut words = vec![word(command.get_program())];
    words.extend(command.get_args().map(word));
    words.join(" ")
}

/// Runs it; an error unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command)).into()) }
}

/// Runs it and returns what it wrote to standard output; an error unless it succeeds.
pub(crate) fn stdout(command: &mut Command) -> Outcome<String> {
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| format!("{}: {error}", shown(command)))?;
    if !output.status.success() {
        return Err(format!("{}: {}", shown(command), output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs it and returns whether it succeeds, with all that it wrote to standard output and standard error.
pub(crate) fn said(command: &mut Command) -> Outcome<(bool, String)> {
    let mut text = String::new();
    let status = lines(command, |line| {
        text.push_str(line);
        text.push('\n');
    })?;
    Ok((status.success(), text))
}

/// Like [`said`]; an error with the whole text unless it succeeds.
pub(crate) fn quietly(command: &mut Command) -> Outcome<String> {
    match said(command)? {
        (true, text) => Ok(text),
        (false, text) => Err(format!("{text}\n{} failed", shown(command)).into()),
    }
}

/// Runs it and hands on each line of its output as it comes.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Outcome<ExitStatus> {
    let (reader, writer) = std::io::pipe()?;
    let name = shown(command);
    let mut child = command
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    // Or the pipe would stay open for as long as the command can be used again.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (send, receive) = channel();
    std::thread::spawn(move || read_lines(reader, |line| send.send(line).is_ok()));
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut last_line = Instant::now();
    loop {
        match receive.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => {
                each(&line);
                last_line = Instant::now();
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(child.wait()?),
            Err(RecvTimeoutError::Timeout) => {}
        }
        match ended {
            None => ended = child.try_wait()?.map(|status| (status, Instant::now())),
            Some((status, at)) if at.max(last_line).elapsed() > QUIET || at.elapsed() > GRACE => {
                return Ok(status);
            }
            Some(_) => {}
        }
    }
}

fn read_lines(reader: PipeReader, mut each: impl FnMut(String) -> bool) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        if !each(text) {
            return;
        }
        line.clear();
    }
}

/// Whether a program of this name is in the PATH.
pub(crate) fn is_installed(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// Builds the library that ships, the sink and the conformance runner. Under [`BUILT`] that was done.
pub(crate) fn built() -> Outcome<()> {
    made(&["build", "sink"])
}

/// Builds the sink and the conformance runner.
pub(crate) fn built_sink() -> Outcome<()> {
    made(&["sink"])
}

/// Builds every program of the workspace in target/debug. It does so together with the unit tests: alone, programs would
/// have other features of the crates that they share with them, and all of these would be compiled a second time.
pub(crate) fn programs() -> Outcome<()> {
    made(&["programs"])
}

fn made(targets: &[&str]) -> Outcome<()> {
    if std::env::var_os(BUILT).is_some() {
        return Ok(());
    }
    run(command(["make", "-s", "--no-print-directory"]).args(targets))
}

/// Set for the steps of a run, which has built everything once.
pub(crate) const BUILT: &str = "PHC_BUILT";

/// What ships, and where.
pub(crate) fn ship() -> PathBuf {
    at("target/ship")
}

/// A new folder that goes with the value.
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    pub(crate) fn new() -> Outcome<Self> {
        let path = stdout(&mut command(["mktemp", "-d"]))?;
        Ok(Self(PathBuf::from(path.trim_end())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Files of Go's module cache are read-only.
        let _ = command(["chmod", "-R", "u+w"]).arg(&self.0).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Reads a file of the repository, with its name in the error.
pub(crate) fn read(path: impl AsRef<Path>) -> Outcome<String> {
    let path = at(path);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Writes a file, with its name in the error.
pub(crate) fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Outcome<()> {
    let path = at(path);
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Runs the command that makes `output`, unless that is newer than all of `inputs` and was made by the same
/// command.
pub(crate) fn make(output: &Path, inputs: &[PathBuf], command: &mut Command) -> Outcome<()> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let mut note = output.as_os_str().to_owned();
    note.push(".command");
    let line = shown(command);
    let made = time(output);
    let is_new = made.is_some()
        && inputs.iter().all(|input| time(input).is_some_and(|changed| Some(changed) < made))
        && std::fs::read_to_string(&note).is_ok_and(|known| known == line);
    if is_new {
        return Ok(());
    }
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    run(command)?;
    Ok(std::fs::write(note, line)?)
}

/// The files of a folder whose name ends so, sorted.
pub(crate) fn files(folder: impl AsRef<Path>, ending: &str) -> Outcome<Vec<PathBuf>> {
    let folder = at(folder);
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|file| file.is_file() && file.to_string_lossy().ends_with(ending));
    files.sort();
    Ok(files)
}

/// The files of the repository: those under version control, and new ones that are not ignored.
pub(crate) fn tracked() -> Outcome<Vec<String>> {
    let listed =
        stdout(&mut command(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let mut files: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files.retain(|file| at(file).is_file());
    Ok(files)
}

/// A file's name without its folder and its last extension.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The version of the library.
pub(crate) fn version() -> Outcome<String> {
    let manifest = read("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    Ok(line.ok_or("Cargo.toml names no version")?.trim_end_matches('"').to_owned())
}
