//! The newest few of anything, without allocation.

/// A ring of the newest `N`, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Ring<T, const N: usize> {
    slots: [Option<T>; N],
    start: usize,
    len: usize,
}

impl<T: Copy + PartialEq, const N: usize> Ring<T, N> {
    pub(super) const fn new() -> Self {
        Ring { slots: [None; N], start: 0, len: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == N
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn contains(&self, item: &T) -> bool {
        self.iter().any(|known| known == item)
    }

    /// Appends; a full ring loses its oldest.
    pub(super) fn push(&mut self, item: T) {
        let slot = (self.start + self.len) % N;
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(item);
        }
        if self.len < N {
            self.len += 1;
        } else {
            self.start = (self.start + 1) % N;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        (0..self.len).filter_map(|i| self.slots.get((self.start + i) % N)?.as_ref())
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.slots.get((self.start + self.len.checked_sub(1)?) % N)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_full_ring_loses_its_oldest() {
        let mut ring = Ring::<i32, 3>::new();
        assert!(ring.is_empty() && !ring.is_full() && ring.last().is_none());
        for item in 0..8 {
            ring.push(item);
            assert_eq!(ring.last(), Some(&item));
        }
        assert!(ring.is_full() && !ring.is_empty());
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [5, 6, 7]);
        assert!(ring.contains(&6) && !ring.contains(&4));
    }
}
