//! A bounded queue without allocation; when full, the oldest gives way.

#[derive(Clone, Debug)]
pub(crate) struct Queue<T, const N: usize> {
    ring: [Option<T>; N],
    start: usize,
    len: usize,
}

impl<T: Copy, const N: usize> Queue<T, N> {
    pub(crate) const fn new() -> Self {
        Queue { ring: [None; N], start: 0, len: 0 }
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.len == N {
            self.pop();
        }
        if let Some(slot) = self.ring.get_mut((self.start + self.len) % N) {
            *slot = Some(item);
            self.len += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let item = self.ring.get_mut(self.start)?.take();
        self.start = (self.start + 1) % N;
        self.len -= 1;
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_keeps_the_newest_in_order() {
        let mut queue = Queue::<u32, 16>::new();
        for item in 0..20 {
            queue.push(item);
        }
        for expected in 4..20 {
            assert_eq!(queue.pop(), Some(expected));
        }
        assert_eq!(queue.pop(), None);
    }
}
