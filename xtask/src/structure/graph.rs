//! Which file needs which, and circles in that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Files and what each of them imports from others.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// From, to, and the import as it is written.
    arrows: BTreeMap<String, BTreeMap<String, String>>,
}

/// Files that need one another: each the one after it, and the last the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Circle {
    /// Each file with what it imports from the next.
    steps: Vec<(String, String)>,
}

impl Graph {
    /// One file more, which may import nothing.
    pub(super) fn add_file(&mut self, file: &str) {
        self.arrows.entry(file.to_owned()).or_default();
    }

    /// `from` imports something of `to`, as `import` says. A file may name itself.
    pub(super) fn add(&mut self, from: &str, to: &str, import: &str) {
        if from != to {
            let imports = self.arrows.entry(from.to_owned()).or_default();
            imports.entry(to.to_owned()).or_insert_with(|| import.to_owned());
        }
    }

    pub(super) fn files(&self) -> usize {
        self.arrows.len()
    }

    /// How many pairs of files there are of which one imports from the other.
    #[cfg(test)]
    pub(super) fn arrows(&self) -> usize {
        self.arrows.values().map(BTreeMap::len).sum()
    }

    /// A shortest circle for each knot of files that need one another, in order of their names.
    pub(super) fn circles(&self) -> Vec<Circle> {
        let mut circles = Vec::new();
        let mut seen = BTreeSet::new();
        for file in self.arrows.keys() {
            if seen.contains(file.as_str()) {
                continue;
            }
            let reached = self.reached_from(file);
            let knot: BTreeSet<&str> = reached
                .iter()
                .copied()
                .filter(|to| self.reached_from(to).contains(file.as_str()))
                .collect();
            if let Some(circle) =
                knot.iter().filter_map(|start| self.shortest(start)).min_by_key(|c| c.steps.len())
            {
                circles.push(circle);
            }
            seen.extend(knot);
        }
        circles
    }

    /// Everything that the file needs, over however many files; itself only in a circle.
    fn reached_from(&self, file: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut todo = vec![file];
        while let Some(at) = todo.pop() {
            for to in self.arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(to.as_str()) {
                    todo.push(to);
                }
            }
        }
        reached
    }

    /// A shortest way from the file back to itself.
    fn shortest(&self, start: &str) -> Option<Circle> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut ring = vec![start];
        while !ring.is_empty() && !came_from.contains_key(start) {
            let mut next = Vec::new();
            for at in ring {
                for to in self.arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
                    if !came_from.contains_key(to.as_str()) {
                        came_from.insert(to, at);
                        next.push(to.as_str());
                    }
                }
            }
            ring = next;
        }
        let mut steps = Vec::new();
        let mut to = start;
        loop {
            let from = came_from.get(to)?;
            steps.push(((*from).to_owned(), self.arrows.get(*from)?.get(to)?.clone()));
            if *from == start {
                break;
            }
            to = from;
        }
        steps.reverse();
        Some(Circle { steps })
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (file, import) in &self.steps {
            writeln!(f, "  {file}: {import}")?;
        }
        let first = self.steps.first().map_or("", |(file, _)| file.as_str());
        write!(f, "  {first} again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (from, to) in arrows {
            graph.add_file(to);
            graph.add(from, to, &format!("use {to}"));
        }
        graph
    }

    #[test]
    fn files_that_need_one_another_are_reported_as_the_shortest_circle_of_their_knot() {
        let knot = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "c"), ("e", "a")]);
        let circles = knot.circles();
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].to_string(), "  c: use d\n  d: use c\n  c again");
        assert_eq!(graph(&[("a", "b"), ("b", "a"), ("x", "y"), ("y", "x")]).circles().len(), 2);
    }

    #[test]
    fn files_that_need_one_another_one_way_are_no_circle() {
        let diamond = graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "a")]);
        assert_eq!((diamond.circles(), diamond.files()), (vec![], 4));
    }
}
