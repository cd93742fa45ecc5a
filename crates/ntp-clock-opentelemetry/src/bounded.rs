//! What is remembered of strangers and of spans has a limit.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map with a limit: when it is full, the oldest entry is dropped.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    most: usize,
    map: HashMap<K, (u64, V)>,
    order: VecDeque<(u64, K)>,
    count: u64,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Bounded { most, map: HashMap::new(), order: VecDeque::new(), count: 0 }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.count += 1;
        self.map.insert(key.clone(), (self.count, value));
        self.order.push_back((self.count, key));
        // Also what was taken out or put in once more has an entry in the order.
        while self.map.len() > self.most || self.order.len() > 2 * self.most {
            let Some((count, key)) = self.order.pop_front() else { break };
            if self.map.get(&key).is_some_and(|(newest, _)| *newest == count) {
                self.map.remove(&key);
            }
        }
    }

    pub(crate) fn get<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.get(key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        // Nothing to hash where no span has a remote parent that said something.
        if self.map.is_empty() { None } else { self.map.remove(key).map(|(_, value)| value) }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_put_in_first_makes_room_and_what_was_taken_out_leaves_nothing() {
        let mut bounded = Bounded::new(2);
        for key in [1, 2, 1, 3] {
            bounded.insert(key, key * 10);
        }
        assert_eq!(
            [bounded.get(&1), bounded.get(&2), bounded.get(&3)],
            [Some(&10), None, Some(&30)]
        );
        for key in 0..1_000 {
            bounded.insert(key, key);
            assert_eq!(bounded.remove(&key), Some(key));
        }
        assert!(bounded.order.len() <= 4 && bounded.len() <= 2, "{bounded:?}");
    }
}
