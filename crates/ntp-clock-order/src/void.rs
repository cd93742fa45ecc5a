//! Evidence that contradicts other evidence, and so proves nothing.

use crate::reason::Why;

/// Which evidence is void.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Void {
    links: Vec<bool>,
    causes: Vec<bool>,
    readings: Vec<bool>,
}

impl Void {
    pub(crate) fn nothing(links: usize, causes: usize, stamps: usize) -> Self {
        Void {
            links: vec![false; links],
            causes: vec![false; causes],
            readings: vec![false; stamps],
        }
    }

    pub(crate) fn has(&self, why: Why) -> bool {
        let (list, place) = match why {
            Why::Start => return false,
            Why::Link(place) => (&self.links, place),
            Why::Cause(place) => (&self.causes, place),
            Why::Reading(place) => (&self.readings, place),
        };
        list.get(place as usize).copied().unwrap_or(false)
    }

    /// Whether it was not void before.
    pub(crate) fn add(&mut self, why: Why) -> bool {
        let (list, place) = match why {
            Why::Start => return false,
            Why::Link(place) => (&mut self.links, place),
            Why::Cause(place) => (&mut self.causes, place),
            Why::Reading(place) => (&mut self.readings, place),
        };
        list.get_mut(place as usize).is_some_and(|is_void| !std::mem::replace(is_void, true))
    }

    /// What is void here or there.
    pub(crate) fn merge(&mut self, other: &Void) {
        let lists = [
            (&mut self.links, &other.links),
            (&mut self.causes, &other.causes),
            (&mut self.readings, &other.readings),
        ];
        for (list, others) in lists {
            for (is_void, other) in list.iter_mut().zip(others) {
                *is_void |= other;
            }
        }
    }
}
