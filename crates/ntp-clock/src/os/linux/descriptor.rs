//! A descriptor knows whose it is.
//!
//! The program that the clock lives in may close any descriptor (daemons close all of them) and
//! open files of its own, which then get the same numbers. So each of ours has a mark by which the
//! kernel knows it: a socket or a device its inode, a timer the interval it was armed with. The
//! mark is looked at before anything that could hit a file of the program's: one that is lost is
//! lost, and never written to, changed or closed.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};

use crate::fork;

/// An open descriptor of ours. Closed when dropped, if it still is ours, or at first use in a
/// forked child.
#[derive(Debug)]
pub(super) struct Descriptor {
    number: RawFd,
    mark: Mark,
    place: Option<usize>,
}

/// By what the kernel knows a descriptor: two numbers of that kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// Device and inode, which no other socket has.
    Inode(u64, u64),
    /// Seconds and nanoseconds of a timer's interval: all timers share one inode.
    Interval(i64, i64),
}

impl Descriptor {
    /// Takes a descriptor that has its mark already, by which it was made known.
    pub(super) fn marked(fd: OwnedFd, mark: Mark) -> Self {
        let number = fd.into_raw_fd();
        Descriptor { number, mark, place: remember(number, mark) }
    }

    /// Takes a socket, or a device that the program hardly opens itself.
    pub(super) fn of_file(fd: OwnedFd) -> std::io::Result<Self> {
        let number = fd.into_raw_fd();
        match inode(number) {
            Some(mark) => Ok(Descriptor { number, mark, place: remember(number, mark) }),
            None => {
                let error = std::io::Error::last_os_error();
                // SAFETY: the number came from `into_raw_fd` just above and is owned by nobody.
                drop(unsafe { OwnedFd::from_raw_fd(number) });
                Err(error)
            }
        }
    }

    /// The number, where it still is ours.
    pub(super) fn number(&self) -> Option<RawFd> {
        self.mark.is_on(self.number).then_some(self.number)
    }

    /// The number for a wait, which harms no file, whosoever it is.
    pub(super) fn to_wait_for(&self) -> RawFd {
        self.number
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            OPEN[place].number.store(FREE, Ordering::Release);
        }
        close(self.number, self.mark);
    }
}

impl Mark {
    fn is_on(self, number: RawFd) -> bool {
        match self {
            Mark::Inode(..) => inode(number) == Some(self),
            Mark::Interval(..) => interval(number) == Some(self),
        }
    }
}

/// Closes what this process inherited from the one it was forked from, for all clocks.
pub(crate) fn close_inherited() {
    let generation = fork::generation();
    for open in &OPEN {
        let number = open.number.load(Ordering::Acquire);
        if number == FREE || open.generation.load(Ordering::Acquire) == generation {
            continue;
        }
        let (a, b) = (open.mark[0].load(Ordering::Acquire), open.mark[1].load(Ordering::Acquire));
        // A fork in the midst of an entry leaves a mark that is on no descriptor.
        let mark = match open.kind.load(Ordering::Acquire) {
            INODE => Mark::Inode(a as u64, b as u64),
            _ => Mark::Interval(a, b),
        };
        // Of two threads of the child one closes it.
        let free = open.number.compare_exchange(number, FREE, Ordering::AcqRel, Ordering::Acquire);
        if free.is_ok() {
            close(number, mark);
        }
    }
}

/// Has children close what they inherit as soon as they begin, not at first use: where a descriptor
/// tells others that this process lives. A child that was made behind the C library's back does it
/// at first use all the same.
pub(super) fn close_in_children() {
    extern "C" fn in_child() {
        close_inherited();
    }
    static ASKED: Once = Once::new();
    ASKED.call_once(|| {
        fork::watch();
        // SAFETY: the handler looks at atomics and makes system calls, all async-signal-safe, and
        // lives as long as the program: a Python module is never unloaded.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

fn close(number: RawFd, mark: Mark) {
    if mark.is_on(number) {
        // SAFETY: it bears our mark, so it is ours, and its owner gives it up here.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
}

/// Notes an open descriptor for children; `None` where there are too many to be noted, and one
/// stays open in a child.
fn remember(number: RawFd, mark: Mark) -> Option<usize> {
    let (kind, a, b) = match mark {
        Mark::Inode(device, inode) => (INODE, device as i64, inode as i64),
        Mark::Interval(seconds, nanoseconds) => (INTERVAL, seconds, nanoseconds),
    };
    let place = OPEN.iter().position(|open| {
        let taken = Ordering::AcqRel;
        open.number.compare_exchange(FREE, TAKEN, taken, Ordering::Acquire).is_ok()
    })?;
    let open = &OPEN[place];
    open.generation.store(fork::generation(), Ordering::Release);
    open.kind.store(kind, Ordering::Release);
    open.mark[0].store(a, Ordering::Release);
    open.mark[1].store(b, Ordering::Release);
    open.number.store(number, Ordering::Release);
    Some(place)
}

fn inode(number: RawFd) -> Option<Mark> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is to a `stat` of ours, which the kernel fills.
    if unsafe { libc::fstat(number, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it is filled.
    let stat = unsafe { stat.assume_init() };
    // Types differ from one architecture to the other.
    #[allow(clippy::unnecessary_cast)]
    Some(Mark::Inode(stat.st_dev as u64, stat.st_ino as u64))
}

/// The interval of a timer; `None` of anything that is no timer.
fn interval(number: RawFd) -> Option<Mark> {
    let mut spec = MaybeUninit::<libc::itimerspec>::uninit();
    let pointer = spec.as_mut_ptr();
    // By number: a faked C library answers for timers of its own making.
    // SAFETY: the pointer is to an `itimerspec` of ours, which the kernel fills.
    if unsafe { libc::syscall(libc::SYS_timerfd_gettime, number, pointer) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it is filled.
    let spec = unsafe { spec.assume_init() };
    #[allow(clippy::unnecessary_cast)]
    Some(Mark::Interval(spec.it_interval.tv_sec as i64, spec.it_interval.tv_nsec as i64))
}

/// What is open, for a forked child: plain memory, because locks may be held there for ever.
static OPEN: [Open; 64] = [const { Open::free() }; 64];

struct Open {
    number: AtomicI32,
    generation: AtomicU64,
    kind: AtomicI32,
    mark: [AtomicI64; 2],
}

impl Open {
    const fn free() -> Self {
        Open {
            number: AtomicI32::new(FREE),
            generation: AtomicU64::new(0),
            kind: AtomicI32::new(INODE),
            mark: [const { AtomicI64::new(0) }; 2],
        }
    }
}

const FREE: i32 = -1;
/// Being filled; no descriptor has this number.
const TAKEN: i32 = -2;
const INODE: i32 = 0;
const INTERVAL: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_number_that_became_another_ones_file_is_not_ours_and_is_not_closed() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let number = socket.as_raw_fd();
        let ours = Descriptor::of_file(socket.into()).unwrap();
        assert_eq!(ours.number(), Some(number));
        // A file of the program's takes its number, as after `closerange`.
        let file = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: `dup2` closes our socket, which is the point, and gives the number to the file.
        assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
        assert_eq!(ours.number(), None);
        drop(ours);
        // SAFETY: asks for the flags of a number that nobody else uses.
        assert!(unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0, "the program's file is open");
        // SAFETY: the number is the duplicate made above, which nothing owns.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
}
