//! Which step starts when: what waits runs beside what computes.

use super::step::{Lane, Need, Step};

/// Steps that are still to run, in the order in which they are preferred, and those that run.
#[derive(Debug)]
pub(super) struct Schedule<'a> {
    to_run: Vec<&'a Step>,
    running: Vec<&'a Step>,
    broken: Vec<Need>,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Start(&'a Step),
    /// What it needs failed.
    Drop(&'a Step),
    /// Nothing can start until a running step ends.
    Wait,
    Done,
}

impl<'a> Schedule<'a> {
    pub(super) fn new(steps: Vec<&'a Step>) -> Self {
        Schedule { to_run: steps, running: Vec::new(), broken: Vec::new() }
    }

    /// What to do now; a step that it names has been taken off the list.
    pub(super) fn next(&mut self) -> Next<'a> {
        let is_broken = |step: &Step| step.needs.iter().any(|need| self.broken.contains(need));
        if let Some(place) = self.to_run.iter().position(|step| is_broken(step)) {
            let step = self.to_run.remove(place);
            self.broken.extend(step.prepares);
            return Next::Drop(step);
        }
        if let Some(place) = self.to_run.iter().position(|step| self.may_start(step)) {
            let step = self.to_run.remove(place);
            self.running.push(step);
            return Next::Start(step);
        }
        // A step whose turn never came would be forgotten without a word.
        assert!(self.to_run.is_empty() || !self.running.is_empty(), "steps need one another");
        if self.running.is_empty() { Next::Done } else { Next::Wait }
    }

    /// A running step has ended.
    pub(super) fn ended(&mut self, step: &Step, failed: bool) {
        self.running.retain(|running| running.name != step.name);
        if failed {
            self.broken.extend(step.prepares);
        }
    }

    fn may_start(&self, step: &Step) -> bool {
        let under_way = |need: &Need| {
            let unfinished = self.to_run.iter().chain(&self.running);
            unfinished.filter_map(|step| step.prepares).any(|prepared| prepared == *need)
        };
        let beside = self.running.iter().filter(|running| running.lane == step.lane).count();
        let room = match step.lane {
            Lane::Computes => COMPUTING,
            Lane::Waits => WAITING,
        };
        beside < room && !step.needs.iter().chain(step.after).any(under_way)
    }
}

const COMPUTING: usize = 1;
/// With more, tests that look at clocks see mostly one another.
const WAITING: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::step::Outcome;
    use super::*;

    const STEP: Step = Step {
        name: "",
        parts: &[],
        lane: Lane::Waits,
        needs: &[],
        after: &[],
        prepares: None,
        run: |_| Ok(Outcome::default()),
    };

    /// The names of all that may start now.
    fn start(schedule: &mut Schedule) -> Vec<&'static str> {
        let mut started = Vec::new();
        while let Next::Start(step) = schedule.next() {
            started.push(step.name);
        }
        started
    }

    #[test]
    fn one_step_computes_while_some_wait() {
        let computing = |name| Step { name, lane: Lane::Computes, ..STEP };
        let waiting = |name| Step { name, ..STEP };
        let steps = [
            computing("a"),
            computing("b"),
            waiting("c"),
            waiting("d"),
            waiting("e"),
            waiting("f"),
            waiting("g"),
        ];
        let mut schedule = Schedule::new(steps.iter().collect());
        assert_eq!(start(&mut schedule), ["a", "c", "d", "e", "f"]);
        assert!(matches!(schedule.next(), Next::Wait));
        schedule.ended(&steps[3], false);
        assert_eq!(start(&mut schedule), ["g"]);
        schedule.ended(&steps[0], true);
        assert_eq!(start(&mut schedule), ["b"]);
        for step in &steps {
            schedule.ended(step, false);
        }
        assert!(matches!(schedule.next(), Next::Done));
    }

    #[test]
    fn a_step_starts_once_what_it_needs_is_made() {
        let steps = [
            Step { name: "tests", needs: &[Need::PythonModule, Need::Npm], ..STEP },
            Step { name: "module", prepares: Some(Need::PythonModule), ..STEP },
            // Nobody among the steps prepares clippy.
            Step { name: "npm", needs: &[Need::Clippy], prepares: Some(Need::Npm), ..STEP },
        ];
        let mut schedule = Schedule::new(steps.iter().collect());
        assert_eq!(start(&mut schedule), ["module", "npm"]);
        schedule.ended(&steps[2], false);
        assert_eq!(start(&mut schedule), [""; 0]);
        schedule.ended(&steps[1], false);
        assert_eq!(start(&mut schedule), ["tests"]);
    }

    #[test]
    fn a_step_is_dropped_with_all_that_need_it_once_what_it_needs_failed() {
        let steps = [
            Step { name: "environment", prepares: Some(Need::PythonEnvironment), ..STEP },
            Step {
                name: "module",
                needs: &[Need::PythonEnvironment],
                prepares: Some(Need::PythonModule),
                ..STEP
            },
            Step { name: "pytest", needs: &[Need::PythonModule], ..STEP },
            Step { name: "node", after: &[Need::PythonModule], ..STEP },
        ];
        let mut schedule = Schedule::new(steps.iter().collect());
        assert_eq!(start(&mut schedule), ["environment"]);
        schedule.ended(&steps[0], true);
        for dropped in ["module", "pytest"] {
            let Next::Drop(step) = schedule.next() else { panic!("{dropped} is not dropped") };
            assert_eq!(step.name, dropped);
        }
        assert_eq!(start(&mut schedule), ["node"]);
    }
}
