//! Which stamps are causes of which, however coarse their counters are.

use std::collections::VecDeque;

use crate::reason::Why;
use crate::system::Cause;

/// The causes that follow from each stamp.
#[derive(Debug)]
pub(crate) struct Causal {
    /// By the earlier stamp: the later one, and the cause.
    later: Vec<Vec<(u32, u32)>>,
}

impl Causal {
    pub(crate) fn new(stamps: usize, causes: &[Cause]) -> Self {
        let mut later = vec![Vec::new(); stamps];
        for (place, cause) in causes.iter().enumerate() {
            later[cause.earlier].push((cause.later as u32, place as u32));
        }
        Causal { later }
    }

    /// The fewest causes that lead from one stamp to another, none of them void.
    pub(crate) fn way(
        &self,
        from: usize,
        to: usize,
        is_void: impl Fn(Why) -> bool,
    ) -> Option<Vec<Why>> {
        let mut before: Vec<Option<(u32, u32)>> = vec![None; self.later.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(stamp) = queue.pop_front() {
            for &(later, cause) in &self.later[stamp] {
                let place = later as usize;
                if place == from || before[place].is_some() || is_void(Why::Cause(cause)) {
                    continue;
                }
                before[place] = Some((stamp as u32, cause));
                if place == to {
                    let mut way = Vec::new();
                    let mut at = to;
                    while let Some((earlier, cause)) = before[at] {
                        way.push(Why::Cause(cause));
                        at = earlier as usize;
                    }
                    way.reverse();
                    return Some(way);
                }
                queue.push_back(place);
            }
        }
        None
    }
}
