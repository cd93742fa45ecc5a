//! A UDP socket with kernel timestamps.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, cmsg_space, recvmsg, send,
    setsockopt, sockopt,
};

use ntp_clock_core::SystemTime;

use super::super::common::Received;
use super::clocks::to_nanos;
use super::descriptor::Descriptor;

/// A UDP socket connected to one server, from a random port, with kernel timestamps.
#[derive(Debug)]
pub(crate) struct Socket(Descriptor);

impl Socket {
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        let stamps = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
        // Without them our own stamps serve; they are only a little later.
        let _ = setsockopt(&socket, sockopt::Timestamping, &stamps);
        socket.connect(server)?;
        Descriptor::of_file(socket.into()).map(Socket)
    }

    pub(super) fn to_wait_for(&self) -> RawFd {
        self.0.to_wait_for()
    }

    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let number = self.number()?;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(number, datagram, flags) {
            // An ICMP error of an earlier request; this one was not tried yet.
            Err(Errno::ECONNREFUSED) => send(number, datagram, flags),
            result => result,
        }?;
        Ok(())
    }

    fn number(&self) -> io::Result<RawFd> {
        self.0.number().ok_or_else(|| io::Error::other("the program has closed the socket"))
    }

    /// The next datagram, or `None` when there is none.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut control = [0; CONTROL_SPACE];
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.number()?;
        match recvmsg::<()>(fd, &mut slices, Some(&mut control), flags) {
            Ok(message) => {
                let kernel_time = message.cmsgs().ok().and_then(|mut cmsgs| {
                    cmsgs.find_map(|cmsg| match cmsg {
                        ControlMessageOwned::ScmTimestampsns(stamps) => software_stamp(&stamps),
                        _ => None,
                    })
                });
                Ok(Some(Received { len: message.bytes, kernel_time }))
            }
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The next transmit timestamp: which datagram of this socket (from 0), and when it left by
    /// the wall clock.
    pub(crate) fn transmit_stamp(&self) -> Option<(u32, SystemTime)> {
        let mut control = [0; CONTROL_SPACE];
        let mut nothing = [0; 1];
        let mut slices = [IoSliceMut::new(&mut nothing)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = self.0.number()?;
        let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), flags).ok()?;
        let (mut time, mut id) = (None, None);
        for cmsg in message.cmsgs().ok()? {
            match cmsg {
                ControlMessageOwned::ScmTimestampsns(stamps) => time = software_stamp(&stamps),
                ControlMessageOwned::Ipv4RecvErr(error, _) => id = Some(error.ee_data),
                ControlMessageOwned::Ipv6RecvErr(error, _) => id = Some(error.ee_data),
                _ => {}
            }
        }
        // Something was in the queue; what had no stamp is reported as no datagram of ours.
        Some((id.unwrap_or(u32::MAX), time.unwrap_or(SystemTime::MIN)))
    }
}

fn software_stamp(stamps: &Timestamps) -> Option<SystemTime> {
    let nanos = to_nanos(stamps.system);
    (nanos != 0).then(|| SystemTime::from_nanos(nanos))
}

/// Room for the timestamps and the extended error with an IPv6 address.
const CONTROL_SPACE: usize =
    cmsg_space::<Timestamps>() + cmsg_space::<[u8; 64]>() + cmsg_space::<[u8; 64]>();
