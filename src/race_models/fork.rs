//! What belongs to one process, while threads race for it and processes fork. A fork is
//! what makes the child begin without an epoch, called between any two steps of the other threads, which then
//! take no step until the child has finished: it does not have them.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{Door, explore};
use crate::client::Client;
use crate::config::Config;
use crate::event::EventInput;
use crate::runtime::fork::after_fork_in_child;
use crate::runtime::{PerProcess, fork_epoch};

/// A value whose content must be visible to every thread that finds it, made by a thread of
/// the parent or of the child.
struct Value {
    by: &'static str,
    content: AtomicBool,
}

impl Value {
    fn new(by: &'static str) -> Self {
        let made = Value { by, content: AtomicBool::new(false) };
        made.content.store(true, Ordering::Relaxed);
        made
    }

    fn read(&self) -> &Self {
        assert!(self.content.load(Ordering::Relaxed), "found before it was written");
        self
    }
}

/// An empty cell, which loom has seen before a thread uses it.
fn cell<T>() -> Arc<PerProcess<T>> {
    let cell = PerProcess::new();
    assert!(cell.get().is_none());
    Arc::new(cell)
}

fn address(made: &Value) -> usize {
    std::ptr::from_ref(made).addr()
}

#[test]
fn racing_threads_find_one_value_and_find_it_complete() {
    explore(|| {
        let cell = cell();
        let racers = [(); 2].map(|()| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || address(cell.get_or_make(|| Value::new("parent")).read()))
        });
        let early = cell.get().map(|made| address(made.read()));
        let own = address(cell.get_or_make(|| Value::new("parent")).read());
        assert!(early.is_none_or(|early| early == own));
        for racer in racers {
            assert_eq!(racer.join().unwrap(), own);
        }
    });
}

#[test]
fn threads_of_a_child_agree_on_an_epoch_that_no_ancestor_had() {
    explore(|| {
        let mut ancestors = vec![fork_epoch()];
        for _ in 0..2 {
            after_fork_in_child();
            let racer = thread::spawn(fork_epoch);
            let own = fork_epoch();
            assert_eq!(racer.join().unwrap(), own);
            assert_eq!(fork_epoch(), own);
            assert!(!ancestors.contains(&own));
            ancestors.push(own);
        }
    });
}

#[test]
fn a_child_makes_its_own_and_leaves_the_parents_untouched() {
    struct Inherited(&'static str);
    impl Drop for Inherited {
        fn drop(&mut self) {
            assert_eq!(self.0, "child", "a child has dropped what it inherited");
        }
    }
    explore(|| {
        let cell = cell();
        cell.get_or_make(|| Inherited("parent"));
        after_fork_in_child();
        assert!(cell.get().is_none());
        let racer = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || std::ptr::from_ref(cell.get_or_make(|| Inherited("child"))).addr())
        };
        let own = cell.get_or_make(|| Inherited("child"));
        assert_eq!(own.0, "child");
        assert_eq!(std::ptr::from_ref(own).addr(), racer.join().unwrap());
    });
}

#[test]
fn a_child_never_waits_for_an_initialisation_that_the_fork_interrupted() {
    explore(|| {
        let cell = cell();
        let (begun, child_has_finished) = (Arc::new(Door::default()), Arc::new(Door::default()));
        let interrupted = {
            let (cell, begun, finished) =
                (Arc::clone(&cell), Arc::clone(&begun), Arc::clone(&child_has_finished));
            thread::spawn(move || {
                cell.get_or_make(|| {
                    begun.open();
                    finished.pass();
                    Value::new("parent")
                });
            })
        };
        begun.pass();
        after_fork_in_child();
        let racer = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || address(cell.get_or_make(|| Value::new("child")).read()))
        };
        let own = cell.get_or_make(|| Value::new("child")).read();
        assert_eq!(own.by, "child");
        assert_eq!(racer.join().unwrap(), address(own));
        child_has_finished.open();
        interrupted.join().unwrap();
    });
}

#[test]
fn a_child_needs_no_lock_that_a_thread_of_the_parent_holds() {
    explore(|| {
        let mut config = Config::new("key");
        config.set("flush_at", "1").unwrap();
        let client = Arc::new(Client::new(config).unwrap());
        client.process().mark_started();
        let (held, child_has_finished) = (Arc::new(Door::default()), Arc::new(Door::default()));
        let holder = {
            let (client, held, finished) =
                (Arc::clone(&client), Arc::clone(&held), Arc::clone(&child_has_finished));
            thread::spawn(move || {
                client.process().delivery.with_lock_held(|| {
                    held.open();
                    finished.pass();
                });
            })
        };
        held.pass();
        after_fork_in_child();
        client.process().mark_started();
        client.capture(&EventInput::Json(br#"{"event":"e","distinct_id":"d"}"#)).unwrap();
        assert_eq!(client.stats().captured, 1);
        assert_eq!(client.flush(Some(Duration::ZERO)).unwrap().pending, 1);
        assert!(client.close(Some(Duration::ZERO)).is_err());
        child_has_finished.open();
        holder.join().unwrap();
    });
}
