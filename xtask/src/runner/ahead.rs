//! Commands that run ahead of their steps, so that what these need is compiled while other steps wait for timers.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::process::{self, Outcome, command, said};
use crate::steps::Step;

/// Commands that run ahead of their steps, one after another and at the lowest priority. One that fails does so again in
/// its step, which reports it.
pub(super) struct Ahead {
    state: Arc<(Mutex<AheadState>, Condvar)>,
}

#[derive(Default)]
struct AheadState {
    /// Steps whose commands have not begun.
    waiting: VecDeque<&'static Step>,
    /// The step whose command runs, and its process group.
    running: Option<(&'static str, u32)>,
    /// Whether those may begin that take what the step `build` leaves.
    is_built: bool,
}

impl AheadState {
    fn next(&mut self) -> Option<&'static Step> {
        let place = self.waiting.iter().position(|step| self.is_built || !step.ahead_takes_build)?;
        self.waiting.remove(place)
    }
}

impl Ahead {
    /// For those of these steps that have such a command.
    pub(super) fn new(steps: &[&'static Step]) -> Self {
        let waiting = steps.iter().copied().filter(|step| !step.ahead.is_empty()).collect();
        Self {
            state: Arc::new((Mutex::new(AheadState { waiting, ..AheadState::default() }), Condvar::new())),
        }
    }

    /// Begins to run those whose steps have not come. Each writes a log into this folder.
    pub(super) fn begin(&self, logs: &Path) {
        let (state, logs) = (Arc::clone(&self.state), logs.to_owned());
        std::thread::spawn(move || {
            let (lock, has_changed) = &*state;
            let mut locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
            while !locked.waiting.is_empty() {
                let Some(step) = locked.next() else {
                    locked = has_changed.wait(locked).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                if let Ok(mut child) = start_ahead(step, &logs) {
                    locked.running = Some((step.name, child.id()));
                    drop(locked);
                    let _ = child.wait();
                    locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    locked.running = None;
                    has_changed.notify_all();
                }
            }
        });
    }

    /// The step `build` has ended.
    pub(super) fn set_built(&self) {
        let (lock, has_changed) = &*self.state;
        lock.lock().unwrap_or_else(PoisonError::into_inner).is_built = true;
        has_changed.notify_all();
    }

    /// Nothing runs ahead of this step afterwards. What has begun is waited for, at normal priority where that is
    /// allowed; what has not is left to the step.
    pub(super) fn wait_for(&self, step: &str) {
        let (lock, has_changed) = &*self.state;
        let mut locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
        locked.waiting.retain(|waiting| waiting.name != step);
        has_changed.notify_all();
        let runs = |state: &mut AheadState| state.running.filter(|(name, _)| *name == step);
        if let Some((_, group)) = runs(&mut locked) {
            let _ = said(command(["renice", "-n", "0", "-g"]).arg(group.to_string()));
        }
        drop(has_changed.wait_while(locked, |state| runs(state).is_some()));
    }
}

fn start_ahead(step: &Step, logs: &Path) -> Outcome<Child> {
    let log = std::fs::File::create(logs.join(format!("ahead-{}.log", step.name)))?;
    let mut nice = command(["nice", "-n", "19"]);
    let program = super::program(step.ahead)?;
    nice.arg(program.get_program()).args(program.get_args());
    Ok(process::limited(step.limit, &nice)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_waits_for_what_has_begun_ahead_of_it_and_takes_the_rest_itself() {
        let folder = process::TempFolder::new().unwrap();
        let [go, begun, mark, second] = ["go", "begun", "mark", "second"].map(|name| folder.join(name));
        let script = format!(
            ": >{}; while [ ! -e {} ]; do sleep 0.01; done; : >{}",
            begun.display(),
            go.display(),
            mark.display()
        );
        process::write(folder.join("compile.sh"), &script).unwrap();
        let slow = Box::leak(format!("sh {}", folder.join("compile.sh").display()).into_boxed_str());
        let touch = Box::leak(format!("touch {}", second.display()).into_boxed_str());
        let steps: [&'static Step; 3] = [("first", &*slow), ("none", ""), ("second", &*touch)]
            .map(|(name, ahead)| &*Box::leak(Box::new(Step { name, ahead, ..Step::sample("true") })));
        let ahead = Ahead::new(&steps);
        ahead.begin(&folder.join(""));
        while !begun.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // Another step does not wait, and one whose command has not begun runs it itself.
        ahead.wait_for("none");
        ahead.wait_for("second");
        assert!(!mark.exists());
        std::fs::write(go, "").unwrap();
        ahead.wait_for("first");
        assert!(mark.exists() && !second.exists());
    }

    #[test]
    fn what_takes_the_build_begins_after_it() {
        let folder = process::TempFolder::new().unwrap();
        let [early, late] = ["early", "late"].map(|name| folder.join(name));
        let touch = |path: &Path| &*Box::leak(format!("touch {}", path.display()).into_boxed_str());
        let steps: [&'static Step; 2] =
            [("late", touch(&late)), ("early", touch(&early))].map(|(name, ahead)| {
                let ahead_takes_build = name == "late";
                &*Box::leak(Box::new(Step { name, ahead, ahead_takes_build, ..Step::sample("true") }))
            });
        let ahead = Ahead::new(&steps);
        ahead.begin(&folder.join(""));
        while !early.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        ahead.wait_for("early");
        assert!(!late.exists());
        ahead.set_built();
        while !late.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    #[test]
    fn what_fails_ahead_of_a_step_holds_up_nothing() {
        let folder = process::TempFolder::new().unwrap();
        let mark = folder.join("mark");
        let touch = Box::leak(format!("touch {}", mark.display()).into_boxed_str());
        let steps: [&'static Step; 3] =
            [("fails", "false"), ("absent", "/no/such/program"), ("works", &*touch)]
                .map(|(name, ahead)| &*Box::leak(Box::new(Step { name, ahead, ..Step::sample("true") })));
        let ahead = Ahead::new(&steps);
        ahead.begin(&folder.join(""));
        while !mark.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        for step in steps {
            ahead.wait_for(step.name);
        }
    }
}
