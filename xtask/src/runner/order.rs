//! Which step may begin: the order of the table, and which groups run side by side.
//!
//! A step waits for every step before it, except for those of groups that its own may run beside. So the steps of one
//! group run one after another, and a group that names no other begins when all before it have ended.

use crate::steps::{GROUPS, Step};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waits,
    Runs,
    HasEnded,
}

/// The steps of a run, and how far each is.
pub(super) struct Order {
    steps: Vec<(&'static Step, Progress)>,
    is_stopped: bool,
}

impl Order {
    pub(super) fn new(steps: &[&'static Step]) -> Self {
        Order { steps: steps.iter().map(|step| (*step, Progress::Waits)).collect(), is_stopped: false }
    }

    /// The first step that may begin, with its number from 0; it counts as begun.
    pub(super) fn begin_next(&mut self) -> Option<(usize, &'static Step)> {
        let number = (0..self.steps.len()).find(|number| self.may_begin(*number))?;
        let (step, progress) = self.steps.get_mut(number)?;
        *progress = Progress::Runs;
        Some((number, step))
    }

    fn may_begin(&self, number: usize) -> bool {
        let Some((step, Progress::Waits)) = self.steps.get(number) else { return false };
        if self.is_stopped {
            return false;
        }
        let mut before = self.steps.iter().take(number);
        before.all(|(other, progress)| {
            *progress == Progress::HasEnded || beside(step.group).contains(&other.group)
        })
    }

    pub(super) fn end(&mut self, number: usize) {
        if let Some((_, progress)) = self.steps.get_mut(number) {
            *progress = Progress::HasEnded;
        }
    }

    /// No other step begins.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.is_stopped && self.steps.iter().any(|(_, progress)| *progress == Progress::Waits)
    }
}

/// Whether another step may run at the same time.
pub(super) fn has_company(step: &Step) -> bool {
    !beside(step.group).is_empty() || GROUPS.iter().any(|group| group.beside.contains(&step.group))
}

fn beside(group: &str) -> &'static [&'static str] {
    GROUPS.iter().find(|known| known.name == group).map_or(&[], |known| known.beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::STEPS;

    fn order(names: &[&str]) -> Order {
        let steps: Vec<_> = STEPS.iter().filter(|step| names.contains(&step.name)).collect();
        assert_eq!(steps.len(), names.len());
        Order::new(&steps)
    }

    fn begun(order: &mut Order) -> Vec<&'static str> {
        std::iter::from_fn(|| order.begin_next().map(|(_, step)| step.name)).collect()
    }

    #[test]
    fn a_step_waits_for_those_before_it() {
        let mut order = order(&["format", "build", "c-shared"]);
        for (number, name) in ["format", "build", "c-shared"].into_iter().enumerate() {
            assert_eq!(begun(&mut order), [name]);
            assert_eq!(order.has_waiting(), number < 2);
            order.end(number);
        }
        assert_eq!(begun(&mut order), Vec::<&str>::new());
    }

    #[test]
    fn groups_run_beside_each_other_and_the_steps_of_one_do_not() {
        let mut order = order(&["panics", "address", "cpp-tests", "cpp-guide", "go-tests", "ruby-tests"]);
        assert_eq!(begun(&mut order), ["panics"]);
        order.end(0);
        assert_eq!(begun(&mut order), ["address", "cpp-tests", "go-tests", "ruby-tests"]);
        order.end(2);
        assert_eq!(begun(&mut order), ["cpp-guide"]);
    }

    #[test]
    fn what_builds_the_bindings_as_workers_is_alone_with_them() {
        let mut order = order(&["cases", "adapter-go", "cpp-tests", "go-tests", "ruby-tests", "php-tests"]);
        assert_eq!(begun(&mut order), ["cases", "cpp-tests"]);
        order.end(0);
        assert_eq!(begun(&mut order), ["adapter-go"]);
        order.end(1);
        assert_eq!(begun(&mut order), ["go-tests", "ruby-tests", "php-tests"]);
    }

    #[test]
    fn nothing_begins_after_a_stop() {
        let mut order = order(&["cpp-tests", "go-tests"]);
        assert!(order.begin_next().is_some());
        order.stop();
        assert!(order.begin_next().is_none() && !order.has_waiting());
    }

    #[test]
    fn a_group_runs_beside_earlier_ones_only() {
        for (number, group) in GROUPS.iter().enumerate() {
            let earlier: Vec<_> = GROUPS.iter().take(number).map(|earlier| earlier.name).collect();
            assert!(group.beside.iter().all(|other| earlier.contains(other)), "{}", group.name);
        }
    }
}
