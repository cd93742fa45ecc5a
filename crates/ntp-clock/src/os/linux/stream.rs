//! A TCP connection that a forked child does not keep open.

#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, recv, send, socket,
};

use super::super::common::Deadline;
use super::descriptor::Descriptor;

/// A TCP connection on which nothing takes longer than until its deadline.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Descriptor,
    deadline: Deadline,
}

impl Stream {
    pub(crate) fn connect(address: SocketAddr, deadline: Deadline) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = Descriptor::of_file(socket(family, SockType::Stream, flags, None)?)?;
        let stream = Stream { socket, deadline };
        let address = SockaddrStorage::from(address);
        // Asked again it says what became of it.
        stream.when(libc::POLLOUT, |number| match connect(number, &address) {
            Ok(()) | Err(Errno::EISCONN) => Ok(()),
            Err(Errno::EINPROGRESS | Errno::EALREADY) => Err(Errno::EAGAIN),
            Err(error) => Err(error),
        })?;
        Ok(stream)
    }

    /// What is tried until it can be done, if that is before the deadline.
    fn when<T>(
        &self,
        event: libc::c_short,
        mut attempt: impl FnMut(RawFd) -> Result<T, Errno>,
    ) -> io::Result<T> {
        loop {
            let closed = || io::Error::other("the program has closed the socket");
            let number = self.socket.number().ok_or_else(closed)?;
            let left = self.deadline.left()?;
            match attempt(number) {
                Err(Errno::EAGAIN) => wait(number, event, left)?,
                Err(Errno::EINTR) => {}
                done => return Ok(done?),
            }
        }
    }
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.when(libc::POLLIN, |number| recv(number, buffer, MsgFlags::MSG_DONTWAIT))
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        self.when(libc::POLLOUT, |number| send(number, bytes, flags))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for the event, no longer than that, which harms no file, no matter who owns it.
fn wait(number: RawFd, event: libc::c_short, longest: Duration) -> io::Result<()> {
    let mut entry = libc::pollfd { fd: number, events: event, revents: 0 };
    let timeout = nix::sys::time::TimeSpec::from_duration(longest.min(NAP));
    // SAFETY: the one entry and the time-out outlive the call.
    let ready = unsafe { libc::ppoll(&raw mut entry, 1, timeout.as_ref(), std::ptr::null()) };
    match Errno::result(ready) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// After that it is looked whether the number is still ours.
const NAP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_millis(100))
    }

    #[test]
    fn what_is_written_arrives_and_what_does_not_arrive_is_waited_for_until_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let far = Deadline::after(Duration::MAX);
        let mut stream = Stream::connect(address, far).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        stream.write_all(b"asked").unwrap();
        peer.read_exact(&mut [0; 5]).unwrap();
        peer.write_all(b"answered").unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answered");
        drop(peer);
        assert_eq!(stream.read(&mut answer).unwrap(), 0, "the end");

        let mut silent = Stream::connect(address, soon()).unwrap();
        let error = silent.read(&mut answer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(listener);
        let error = Stream::connect(address, far).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = Stream::connect(address, Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
