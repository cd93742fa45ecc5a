//! Bytes under way in one direction.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::run::lock;

/// A queue of pieces, each of which leaves when it is due, and none before the one ahead of it. It
/// holds a bounded number of bytes: who has more waits, as TCP's window makes a sender wait.
#[derive(Debug, Default)]
pub(super) struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    bytes: usize,
    cut: bool,
}

#[derive(Debug)]
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

impl Line {
    /// Sends bytes on their way, once there is room; no bytes are the stream's end. False where the
    /// line is cut.
    pub(super) fn push(&self, due: Instant, bytes: &[u8]) -> bool {
        let mut state = lock(&self.state);
        while state.bytes >= BYTES_MAX && !state.cut {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.cut {
            return false;
        }
        state.bytes += bytes.len();
        state.pieces.push_back(Piece { due, bytes: bytes.to_vec() });
        self.changed.notify_all();
        true
    }

    /// Waits until the next piece is due, and gives it; `None` where the line is cut.
    pub(super) fn pop(&self) -> Option<Vec<u8>> {
        let mut state = lock(&self.state);
        loop {
            if state.cut {
                return None;
            }
            let wait = state.pieces.front().map(|piece| piece.due - piece.due.min(Instant::now()));
            state = match wait {
                Some(wait) if wait.is_zero() => {
                    let piece = state.pieces.pop_front()?;
                    state.bytes -= piece.bytes.len();
                    self.changed.notify_all();
                    return Some(piece.bytes);
                }
                Some(wait) => {
                    let woken = self.changed.wait_timeout(state, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Drops what is under way, and ends every wait, now and later.
    pub(super) fn cut(&self) {
        let mut state = lock(&self.state);
        state.cut = true;
        state.pieces.clear();
        self.changed.notify_all();
    }
}

/// With pieces of [`PIECE_BYTES`], at most one of them more.
const BYTES_MAX: usize = 4 << 20;
/// What is read at once.
pub(super) const PIECE_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_piece_that_is_due_waits_for_the_one_ahead_of_it() {
        let line = Line::default();
        let now = Instant::now();
        assert!(line.push(now + Duration::from_millis(40), b"first"));
        assert!(line.push(now, b"second"));
        assert_eq!(line.pop().unwrap(), b"first");
        assert!(now.elapsed() >= Duration::from_millis(40));
        assert_eq!(line.pop().unwrap(), b"second");
    }

    #[test]
    fn cutting_ends_the_waits_of_both_sides() {
        let line = Line::default();
        let never = Instant::now() + Duration::from_secs(3600);
        let full = vec![0; BYTES_MAX];
        assert!(line.push(never, &full));
        thread::scope(|scope| {
            let pushed = scope.spawn(|| line.push(never, b"more"));
            let popped = scope.spawn(|| line.pop());
            thread::sleep(Duration::from_millis(20));
            assert!(!pushed.is_finished(), "there is no room");
            assert!(!popped.is_finished(), "nothing is due");
            line.cut();
            assert!(!pushed.join().unwrap());
            assert_eq!(popped.join().unwrap(), None);
        });
        assert!(!line.push(never, b"later"));
    }
}
