//! What is known of all clocks at the moment of one stamp.

use std::sync::OnceLock;

use crate::graph::{Graph, Sense};
use crate::reach::{Both, Contradiction};
use crate::reason::{Reason, Why, reasons};
use crate::system::{Stamp, System};
use crate::void::Void;

/// What all clocks read at one moment, from evidence that does not contradict itself there.
#[derive(Debug)]
pub(crate) struct Scene {
    with_causes: Both,
    without: OnceLock<Option<Both>>,
    /// Where some of the evidence is void: which, the graphs of what is left, and what contradicts
    /// itself.
    cleared: Option<Box<Cleared>>,
}

#[derive(Debug)]
struct Cleared {
    void: Void,
    graphs: [Graph; 2],
    contradictions: Vec<Vec<Reason>>,
}

/// The graphs of both senses.
pub(crate) fn graphs(system: &System, void: &Void) -> [Graph; 2] {
    [Sense::Most, Sense::Least].map(|sense| Graph::new(sense, system, void))
}

/// Graphs of no evidence at all.
fn nothing(system: &System) -> [Graph; 2] {
    [Sense::Most, Sense::Least].map(|sense| Graph::unknown(sense, system))
}

impl Scene {
    /// At this stamp. `graphs` are those of all that is not void from the start.
    pub(crate) fn new(system: &System, void: &Void, graphs: &[Graph; 2], stamp: &Stamp) -> Self {
        let mut cleared: Option<Box<Cleared>> = None;
        loop {
            let left = cleared.as_ref().map_or(graphs, |cleared| &cleared.graphs);
            let round = match at(left, stamp, true) {
                Ok(with_causes) => {
                    return Scene { with_causes, without: OnceLock::new(), cleared };
                }
                Err(Contradiction(round)) => round,
            };
            let next = cleared.get_or_insert_with(|| {
                Box::new(Cleared {
                    void: void.clone(),
                    graphs: nothing(system),
                    contradictions: Vec::new(),
                })
            });
            next.clear(system, round);
        }
    }

    /// With what messages say, or without.
    pub(crate) fn both(
        &self,
        graphs: &[Graph; 2],
        stamp: &Stamp,
        with_causes: bool,
    ) -> Option<&Both> {
        if with_causes {
            return Some(&self.with_causes);
        }
        let without = self.without.get_or_init(|| {
            let left = self.cleared.as_ref().map_or(graphs, |cleared| &cleared.graphs);
            // Less evidence contradicts itself no more than all of it does.
            at(left, stamp, false).ok()
        });
        without.as_ref()
    }

    /// What is void here; `None` where nothing is but what is everywhere.
    pub(crate) fn void(&self) -> Option<&Void> {
        self.cleared.as_ref().map(|cleared| &cleared.void)
    }

    pub(crate) fn contradictions(&self) -> &[Vec<Reason>] {
        self.cleared.as_ref().map_or(&[], |cleared| &cleared.contradictions)
    }
}

impl Cleared {
    /// All of a contradiction is void.
    fn clear(&mut self, system: &System, round: Vec<Why>) {
        let mut news = false;
        for &why in &round {
            news |= self.void.add(why);
        }
        let mut words = reasons(round);
        words.sort_unstable();
        self.contradictions.push(words);
        self.graphs = if news {
            graphs(system, &self.void)
        } else {
            // Nothing that could be void: nothing is known.
            nothing(system)
        };
    }
}

fn at(graphs: &[Graph; 2], stamp: &Stamp, with_causes: bool) -> Result<Both, Contradiction> {
    Both::new(graphs, stamp.clock, stamp.counter.as_nanos(), with_causes)
}
