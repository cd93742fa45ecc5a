//! What all clocks read, at least and at most, when one of them reads something: shortest paths.

use std::collections::VecDeque;

use crate::graph::{Edge, Graph, Knows};
use crate::reason::Why;

/// What is known of one clock, and the last step of the way by which it is.
#[derive(Clone, Copy, Debug)]
struct Label {
    /// As the graph counts; `i64::MAX` where nothing is known.
    most: i64,
    from: u32,
    why: Why,
}

/// The most that each clock of a graph reads at one moment.
#[derive(Debug)]
pub(crate) struct Reach {
    labels: Vec<Label>,
    source: usize,
}

/// What contradicts itself.
#[derive(Debug)]
pub(crate) struct Contradiction(pub(crate) Vec<Why>);

impl Reach {
    /// When the clock `source` reads `x`; with what messages say, or without.
    ///
    /// Every edge is a function that never falls, so the least of all ways is found as with
    /// lengths. A way that leads back to where it was, and further down than it was there, says
    /// that a clock reads less than it reads.
    pub(crate) fn new(
        graph: &Graph,
        source: usize,
        x: i64,
        with_causes: bool,
    ) -> Result<Self, Contradiction> {
        let unknown = Label { most: i64::MAX, from: source as u32, why: Why::Start };
        let mut labels = vec![unknown; graph.nodes()];
        labels[source].most = x;
        let mut reach = Reach { labels, source };
        let mut queue = VecDeque::from([source]);
        let mut queued = vec![false; graph.nodes()];
        while let Some(from) = queue.pop_front() {
            queued[from] = false;
            for edge in graph.edges(from) {
                if !with_causes && matches!(edge.knows, Knows::Causes(_)) {
                    continue;
                }
                if reach.step(graph, from, edge)? && !std::mem::replace(&mut queued[edge.to], true)
                {
                    queue.push_back(edge.to);
                }
            }
        }
        Ok(reach)
    }

    /// Whether this edge says more of its end than was known.
    #[inline]
    fn step(&mut self, graph: &Graph, from: usize, edge: &Edge) -> Result<bool, Contradiction> {
        let Some((most, why)) = graph.most(edge, self.labels[from].most) else {
            return Ok(false);
        };
        if most >= self.labels[edge.to].most {
            return Ok(false);
        }
        if let Some(mut round) = self.way_between(edge.to, from) {
            round.push(why);
            return Err(Contradiction(round));
        }
        self.labels[edge.to] = Label { most, from: from as u32, why };
        Ok(true)
    }

    /// The steps from one node to another, if the way to the other leads over it.
    fn way_between(&self, one: usize, other: usize) -> Option<Vec<Why>> {
        // Mostly it does not, and nothing is to be allocated.
        let mut at = other;
        while at != one {
            if at == self.source {
                return None;
            }
            at = self.labels[at].from as usize;
        }
        Some(
            self.steps_back(other)
                .take_while(|&(node, _)| node != one)
                .map(|(_, why)| why)
                .collect(),
        )
    }

    /// The last step to a node first: the node that it leads to, and why.
    pub(crate) fn steps_back(&self, to: usize) -> impl Iterator<Item = (usize, Why)> + '_ {
        let mut at = to;
        std::iter::from_fn(move || {
            let label = (at != self.source).then(|| self.labels.get(at)).flatten()?;
            (label.why != Why::Start)
                .then(|| (std::mem::replace(&mut at, label.from as usize), label.why))
        })
    }

    /// The most that this clock reads, as the graph counts; none where nothing is known.
    #[inline]
    pub(crate) fn most(&self, node: usize) -> Option<i64> {
        let most = self.labels.get(node)?.most;
        (most < i64::MAX).then_some(most)
    }
}

/// Both bounds on each clock when one of them reads something.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) most: Reach,
    pub(crate) least: Reach,
}

impl Both {
    /// See [`Reach::new`].
    pub(crate) fn new(
        graphs: &[Graph; 2],
        source: usize,
        reading: i64,
        with_causes: bool,
    ) -> Result<Self, Contradiction> {
        let [most, least] = graphs;
        let of =
            |graph: &Graph| Reach::new(graph, source, graph.sense().signed(reading), with_causes);
        let both = Both { most: of(most)?, least: of(least)? };
        for node in 0..most.nodes() {
            if let (Some(low), Some(high)) = both.interval(node)
                && low > high
            {
                return Err(both.between(node));
            }
        }
        Ok(both)
    }

    /// What this clock reads at least and at most.
    #[inline]
    pub(crate) fn interval(&self, node: usize) -> (Option<i64>, Option<i64>) {
        (self.least.most(node).map(i64::saturating_neg), self.most.most(node))
    }

    /// Two ways to a node that exclude one another, from where they part.
    fn between(&self, node: usize) -> Contradiction {
        let most: Vec<_> = self.most.steps_back(node).collect();
        let least: Vec<_> = self.least.steps_back(node).collect();
        let pairs = most.iter().rev().zip(least.iter().rev());
        // The last step is a part of it also where it is the same.
        let shorter = most.len().min(least.len());
        let alike = pairs.take(shorter.saturating_sub(1)).take_while(|(a, b)| a == b).count();
        let parts = [&most[..most.len() - alike], &least[..least.len() - alike]];
        Contradiction(parts.concat().into_iter().map(|(_, why)| why).collect())
    }
}
