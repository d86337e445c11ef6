//! Sequences of C calls from up to three threads, against a server that misbehaves, without
//! a server, or in test mode. In any order: every call returns, none with `PHC_INTERNAL`,
//! the counters add up and agree with what the calls returned, every user data is freed
//! once, and no thread is left.

mod callbacks;
mod client;
mod report;
mod server;
mod steps;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use callbacks::USER_DATA;
use client::Slots;
use steps::step;

/// The threads of the library: phc-io, phc-callback.
const THREADS: &str = "phc-";
/// A machine may be busy; a thread that is left stays for ever.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a step: thread and call, slot, argument.
const STEP: usize = 3;
const MAX_STEPS: usize = 60;

/// Five bytes of settings and four of the server's script, then steps of three.
pub fn run(data: &[u8]) {
    let Some((head, steps)) = data.split_first_chunk::<9>() else { return };
    let (settings, script) = head.split_at(5);
    let slots = Slots::new(settings, script);
    let mut threads: [Vec<[u8; STEP]>; 3] = Default::default();
    for chunk in steps.as_chunks::<STEP>().0.iter().take(MAX_STEPS) {
        threads[usize::from(chunk[0] >> 6) % 3].push(*chunk);
    }
    std::thread::scope(|scope| {
        let spawn = |steps: &[[u8; STEP]]| {
            let (slots, steps) = (&slots, steps.to_vec());
            scope.spawn(move || {
                let mut own = steps::Own::default();
                for bytes in steps {
                    step(slots, &mut own, bytes);
                }
            })
        };
        let threads: Vec<_> =
            threads.iter().filter(|steps| !steps.is_empty()).map(|steps| spawn(steps)).collect();
        // A scope ends before the thread-local data of its threads is freed, which a search
        // for leaks would find; a join does not.
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
    drop(slots);

    let deadline = Instant::now() + PATIENCE;
    while library_threads() > 0 {
        assert!(Instant::now() < deadline, "threads are left");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(USER_DATA.load(Ordering::SeqCst), 0, "user data is left");
}

fn library_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a Linux");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(THREADS)).count()
}
