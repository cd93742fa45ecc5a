//! Lines out of a stream of any length, in constant memory.

use std::io::{self, ErrorKind, Read};

/// Lines longer than this are refused, so that no input takes more memory.
pub const LINE_BYTES_MAX: usize = 65_536;

/// The lines of a stream, numbered.
#[derive(Debug)]
pub(super) struct Lines<R> {
    source: R,
    buffer: Box<[u8]>,
    /// What of the buffer has been read and not handed out.
    start: usize,
    end: usize,
    /// What of that is known to hold no line end.
    searched: usize,
    ended: bool,
}

/// What [`Lines::next`] gives.
pub(super) enum Next<'a> {
    /// A line with its end, or the last one without.
    Line(&'a [u8]),
    /// A line that does not fit.
    TooLong,
    /// There is nothing more to hand out before the source is asked, which may wait.
    Wants,
    /// The stream has ended.
    End,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        // A line, its end, and room for the next ones.
        let buffer = vec![0; 2 * LINE_BYTES_MAX].into_boxed_slice();
        Lines { source, buffer, start: 0, end: 0, searched: 0, ended: false }
    }

    /// The next line, as far as it has been read.
    pub(super) fn next(&mut self) -> Next<'_> {
        let (start, end) = (self.start, self.end);
        let fresh = self.buffer.get(start + self.searched..end).unwrap_or_default();
        if let Some(offset) = fresh.iter().position(|byte| *byte == b'\n') {
            let len = self.searched + offset + 1;
            self.start += len;
            self.searched = 0;
            if len > LINE_BYTES_MAX + 1 {
                return Next::TooLong;
            }
            return Next::Line(self.buffer.get(start..start + len).unwrap_or_default());
        }
        self.searched = end - start;
        if self.searched > LINE_BYTES_MAX {
            return Next::TooLong;
        }
        if !self.ended {
            return Next::Wants;
        }
        self.start = end;
        self.searched = 0;
        match self.buffer.get(start..end) {
            Some(rest) if !rest.is_empty() => Next::Line(rest),
            _ => Next::End,
        }
    }

    /// Asks the source for more.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = loop {
            match self.source.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(n);
            buffer[..n].copy_from_slice(now);
            self.0 = later;
            Ok(n)
        }
    }

    fn lines(bytes: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(Trickle(bytes, step));
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Next::Line(line) => found.push(Some(line.to_vec())),
                Next::TooLong => {
                    found.push(None);
                    return found;
                }
                Next::Wants => lines.fill().unwrap(),
                Next::End => return found,
            }
        }
    }

    #[test]
    fn lines_are_whole_however_the_stream_is_cut() {
        for step in [1, 2, 3, 7, 1_000] {
            let found = lines(b"one\n\ntwo\nrest", step);
            let expected: Vec<&[u8]> = vec![b"one\n", b"\n", b"two\n", b"rest"];
            assert_eq!(found, expected.into_iter().map(|l| Some(l.to_vec())).collect::<Vec<_>>());
        }
        assert_eq!(lines(b"", 1), []);
        assert_eq!(lines(b"\n", 1), [Some(b"\n".to_vec())]);
    }

    #[test]
    fn the_longest_line_fits_and_one_more_byte_does_not() {
        for step in [1_000, usize::MAX] {
            let mut bytes = vec![b'x'; LINE_BYTES_MAX];
            bytes.extend_from_slice(b"\nnext");
            let found = lines(&bytes, step);
            assert_eq!(found.len(), 2);
            assert_eq!(found[0].as_ref().unwrap().len(), LINE_BYTES_MAX + 1);
            bytes.insert(0, b'x');
            assert_eq!(lines(&bytes, step), [None]);
        }
        assert_eq!(lines(&vec![b'x'; 10 * LINE_BYTES_MAX], 4_096), [None]);
    }

    #[test]
    fn many_lines_pass_through_the_same_memory() {
        let bytes = b"0123456789abcdef\n".repeat(100_000);
        let found = lines(&bytes, 70_000);
        assert_eq!(found.len(), 100_000);
        assert!(found.iter().all(|line| line.as_deref() == Some(b"0123456789abcdef\n")));
    }
}
