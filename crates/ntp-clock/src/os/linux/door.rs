//! Where a process hands its shared memory to others: a socket with a name, and what comes over it.

#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, UnixCredentials, accept4, bind, connect, getsockopt, listen, recvmsg, sendmsg,
    socket,
};
use nix::unistd::pipe2;

use super::super::common::Line;
use super::descriptor::{Descriptor, close_in_children};
use super::waiter::Awaited;

/// A socket with a name, at which others are handed memory.
#[derive(Debug)]
pub(crate) struct Door(Descriptor);

/// What others are handed.
#[derive(Debug)]
pub(crate) struct Gift {
    /// What is said of it.
    pub(crate) message: [u8; MESSAGE_BYTES],
    /// The page.
    pub(crate) page: OwnedFd,
    /// The control word, for our own user and for others.
    pub(crate) control: OwnedFd,
    pub(crate) control_for_others: OwnedFd,
    /// Its other end closes when this process ends.
    pub(crate) lifeline: OwnedFd,
}

/// What was received, and from whom.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: [u8; MESSAGE_BYTES],
    pub(crate) page: OwnedFd,
    pub(crate) control: OwnedFd,
    pub(crate) lifeline: Lifeline,
    /// The user of the process at the door.
    pub(crate) user: u32,
}

/// The end of a pipe whose other end a process holds as long as it lives and wants to be followed.
#[derive(Debug)]
pub(crate) struct Lifeline(Descriptor);

/// How somebody who comes to the door is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Guest {
    /// Our own user, who may end the page.
    Own,
    /// Another one that the directory lets in.
    Other,
}

impl Door {
    /// Opens one of this name, which does not exist yet.
    pub(crate) fn open(name: &Path) -> io::Result<Self> {
        let fd = seqpacket(SockFlag::SOCK_NONBLOCK)?;
        bind(fd.as_raw_fd(), &UnixAddr::new(name)?)?;
        listen(&fd, Backlog::new(128)?)?;
        Ok(Door(Descriptor::of_file(fd)?))
    }

    /// What to wait for.
    pub(crate) fn to_wait_for(&self) -> Awaited {
        Awaited::of(&self.0)
    }

    /// Serves all who wait; nobody can make it wait.
    ///
    /// # Errors
    /// Where the socket is not ours any more: the program has closed it.
    pub(crate) fn serve(&self, gift: &Gift, guest: impl Fn(u32) -> Guest) -> io::Result<()> {
        loop {
            let Some(number) = self.0.number() else { return Err(Errno::EBADF.into()) };
            match accept4(number, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
                Ok(fd) => {
                    // SAFETY: the kernel has just given us this descriptor.
                    let connection = unsafe { OwnedFd::from_raw_fd(fd) };
                    // Who has gone again, or whom the system cannot serve, tries again.
                    let _ = gift.give(&connection, &guest);
                }
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                // No descriptors or memory: who waits goes on waiting, or gives up.
                Err(error) if error == Errno::EBADF => return Err(error.into()),
                Err(_) => return Ok(()),
            }
        }
    }
}

impl Gift {
    fn give(&self, to: &OwnedFd, guest: impl Fn(u32) -> Guest) -> io::Result<()> {
        let peer: UnixCredentials = getsockopt(to, PeerCredentials)?;
        let control = match guest(peer.uid()) {
            Guest::Own => &self.control,
            Guest::Other => &self.control_for_others,
        };
        let given = [&self.page, control, &self.lifeline].map(AsRawFd::as_raw_fd);
        let message = [IoSlice::new(&self.message)];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let rights = [ControlMessage::ScmRights(&given)];
        sendmsg::<()>(to.as_raw_fd(), &message, &rights, flags, None)?;
        Ok(())
    }
}

/// Knocks at a door, and waits for what is handed over, so long at most.
///
/// # Errors
/// Where nobody is behind that name, who is there does not answer in time, or answers otherwise.
pub(crate) fn receive(name: &Path, limit: Duration) -> io::Result<Received> {
    let deadline = Instant::now() + limit;
    let fd = seqpacket(SockFlag::SOCK_NONBLOCK)?;
    let address = UnixAddr::new(name)?;
    loop {
        match connect(fd.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
            // Its queue is full: nobody has been served for a while.
            Err(Errno::EAGAIN) if Instant::now() < deadline => std::thread::sleep(QUEUE_FULL),
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
    let peer: UnixCredentials = getsockopt(&fd, PeerCredentials)?;
    wait_for(fd.as_fd(), deadline)?;
    let mut message = [0; MESSAGE_BYTES];
    let mut space = cmsg_space!([RawFd; GIVEN]);
    let (length, fds) = {
        let mut parts = [IoSliceMut::new(&mut message)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
        let received = recvmsg::<()>(fd.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let mut fds = Vec::new();
        for rights in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = rights {
                // SAFETY: the kernel has just given us these descriptors; nobody else owns them.
                fds.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        (received.bytes, fds)
    };
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let garbled = || io::Error::other("the process at the socket does not hand over a page");
    let [page, control, lifeline] = <[OwnedFd; GIVEN]>::try_from(fds).map_err(|_| garbled())?;
    if length != MESSAGE_BYTES {
        return Err(garbled());
    }
    let lifeline = Lifeline::of(lifeline)?;
    Ok(Received { message, page, control, lifeline, user: peer.uid() })
}

impl Lifeline {
    /// Both ends: what others are handed, and what is held.
    pub(crate) fn pair() -> io::Result<(OwnedFd, Lifeline)> {
        // A child that never uses the clock would hold it for its parent.
        close_in_children();
        let (theirs, held) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok((theirs, Lifeline::of(held)?))
    }

    fn of(fd: OwnedFd) -> io::Result<Self> {
        Ok(Lifeline(Descriptor::of_file(fd)?))
    }

    /// What to wait for.
    pub(crate) fn to_wait_for(&self) -> Awaited {
        Awaited::of(&self.0)
    }

    /// What can be seen of the other end.
    pub(crate) fn look(&self) -> Line {
        let Some(number) = self.0.number() else { return Line::Lost };
        // SAFETY: it bears our mark, so it is ours and stays open for the length of the call.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let mut looked = [PollFd::new(fd, PollFlags::POLLIN)];
        match poll(&mut looked, PollTimeout::ZERO) {
            Ok(0) | Err(_) => Line::Whole,
            Ok(_) => Line::Cut,
        }
    }
}

fn seqpacket(flags: SockFlag) -> io::Result<OwnedFd> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?)
}

/// Waits until there is something to receive.
fn wait_for(fd: BorrowedFd<'_>, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], left) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes of what is said with a page.
pub(crate) const MESSAGE_BYTES: usize = 24;
/// Page, control word, lifeline.
const GIVEN: usize = 3;
const QUEUE_FULL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::path::PathBuf;

    fn name(of: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ntp-clock-{of}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    fn gift() -> (Gift, Lifeline) {
        let (lifeline, held) = Lifeline::pair().unwrap();
        let message = [7; MESSAGE_BYTES];
        let gift =
            Gift { message, page: null(), control: null(), control_for_others: null(), lifeline };
        (gift, held)
    }

    #[test]
    fn who_knocks_is_handed_what_there_is_and_sees_its_giver_end() {
        let name = name("door");
        let door = Door::open(&name).unwrap();
        let (gift, held) = gift();
        let guest = std::thread::spawn(move || receive(&name, Duration::from_secs(10)));
        while !guest.is_finished() {
            door.serve(&gift, |_| Guest::Own).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        let received = guest.join().unwrap().unwrap();
        assert_eq!(received.message, [7; MESSAGE_BYTES]);
        assert_eq!(received.user, nix::unistd::geteuid().as_raw());
        assert_eq!(received.lifeline.look(), Line::Whole);
        drop(held);
        assert_eq!(received.lifeline.look(), Line::Cut);
    }

    #[test]
    fn nobody_waits_longer_than_wanted_for_one_who_does_not_answer() {
        let name = name("silent");
        let _door = Door::open(&name).unwrap();
        let error = receive(&name, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_name_that_a_dead_process_left_is_refused_at_once() {
        let name = name("dead");
        drop(Door::open(&name).unwrap());
        let error = receive(&name, Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
