//! Runs every committed input through its target, once, without libFuzzer: the regression
//! test. `replay [TARGET…]`; a panic ends the process, and so does an input that takes too long.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use phc_fuzz::TARGETS;

/// The slowest input takes a second.
const LIMIT: Duration = Duration::from_secs(60);
static DONE: AtomicU64 = AtomicU64::new(0);

fn inputs(target: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["corpus", "seeds", "regressions"].map(|folder| root.join(folder).join(target));
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files
}

/// Ends the process when an input hangs.
fn watch() {
    std::thread::spawn(|| {
        loop {
            let before = DONE.load(Ordering::Relaxed);
            std::thread::sleep(LIMIT);
            if DONE.load(Ordering::Relaxed) == before {
                eprintln!("an input took over {LIMIT:?}");
                std::process::abort();
            }
        }
    });
}

fn main() {
    // Before the library's own catch, as libFuzzer does it.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    watch();
    for (name, run) in
        TARGETS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name))
    {
        let start = Instant::now();
        let files = inputs(name);
        assert!(!files.is_empty(), "there are no inputs for {name}");
        for file in &files {
            // The last line is the input that ended the process.
            if std::env::var_os("PHC_FUZZ_VERBOSE").is_some() {
                eprintln!("{}", file.display());
            }
            run(&std::fs::read(file).expect("a readable file"));
            DONE.fetch_add(1, Ordering::Relaxed);
        }
        println!("{name}: {} inputs in {:.1} s", files.len(), start.elapsed().as_secs_f64());
    }
}
