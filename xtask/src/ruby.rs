//! The Ruby gem: its tests against what ships and the sink, and the gem in its real hosts.

use std::process::Command;

use crate::arguments::Arguments;
use crate::checks::ensure;
use crate::process::{Outcome, at, built, command, limited, lines, run, ship};
use crate::ruby_extension::{SWITCH, extension};
use crate::sink::Sink;

const TESTS: &str = "bindings/ruby/test";
/// The value of the switch that turns the extension off. The tests of the packages install gems of their own, which
/// do not depend on it, so they run once.
const WITHOUT: &str = "0";

/// `ruby [NAME…]`: files (`fork` is test/fork_test.rb), or tests whose names match; with the C extension and without.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let names = Arguments::new(arguments).names();
    built()?;
    for (switch, path) in [("1", "with the C extension"), (WITHOUT, "through ffi")] {
        println!("== {path}");
        tests(&names, switch)?;
    }
    Ok(())
}

fn tests(names: &[String], switch: &str) -> Outcome<()> {
    let sink = Sink::start(&[])?;
    let is_file =
        |name: &str| at(TESTS).join(format!("{}_test.rb", name.trim_end_matches("_test.rb"))).is_file();
    let (files, tests): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| is_file(name));
    let mut ruby = ruby(&sink)?;
    ruby.env(SWITCH, switch);
    ruby.arg(at(TESTS).join("run.rb")).args(files.iter().map(|file| file.trim_end_matches("_test.rb")));
    if names.is_empty() && switch == WITHOUT {
        ruby.args(["--", "--exclude", "/^PackageTest#/"]);
    }
    if !tests.is_empty() {
        ruby.args(["--", "-n", &format!("/{}/", tests.join("|"))]);
    }
    let mut is_empty = false;
    let status = lines(&mut limited(600, &ruby), |line| {
        is_empty |= line.starts_with("0 runs");
        println!("{line}");
    })?;
    ensure(!is_empty, || format!("no test matches {}", tests.join("|")))?;
    ensure(status.success(), || "Ruby failed".to_owned())
}

/// `ruby-hosts [full]`: Puma in cluster mode through restarts and stops, a fork for each job as in Resque, and the
/// example applications, counted at the sink.
pub(crate) fn hosts(arguments: &[String]) -> Outcome<()> {
    let is_full = Arguments::new(arguments).flag("full");
    let (requests, jobs) = if is_full { ("5000", "600") } else { ("200", "24") };
    built()?;
    let sink = Sink::start(&[])?;
    let mut programs = vec![
        ("puma_cluster.rb", vec![requests]),
        ("resque_style.rb", vec![jobs]),
        ("rails_app.rb", vec![]),
        ("examples.rb", vec!["rails", "sinatra"]),
    ];
    if is_full {
        programs.push(("puma_load.rb", vec!["100000"]));
    }
    for (program, arguments) in programs {
        let mut host = ruby(&sink)?;
        host.arg(at(TESTS).join("hosts").join(program)).args(arguments);
        run(&mut limited(900, &host))?;
    }
    Ok(())
}

/// With the extension in RUBYLIB, so that children have it too.
pub(crate) fn ruby(sink: &Sink) -> Outcome<Command> {
    let mut ruby = command(["ruby", "-w", "-Ibindings/ruby/lib"]);
    ruby.env("PHC_SINK", sink.address()).env("PHC_LIBRARY", ship().join("libphc.so"));
    ruby.env("RUBYLIB", extension()?);
    Ok(ruby)
}
