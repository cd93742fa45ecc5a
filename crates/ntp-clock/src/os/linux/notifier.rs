//! The host's bell: `/dev/vmclock0` becomes readable when the host has changed its page, where host
//! and kernel both can do that (since Linux 7.0).

#![allow(unsafe_code)]

use std::os::fd::{OwnedFd, RawFd};

use super::descriptor::Descriptor;
use super::vmclock::{self, HostPage, LENGTH, sequence_in};

/// A descriptor of the device, to wait for.
#[derive(Debug)]
pub(crate) struct Notifier {
    descriptor: Descriptor,
    /// The page's sequence count as the device was read last.
    seen: u32,
}

impl Notifier {
    /// Where the host says that it rings.
    pub(crate) fn of(page: &HostPage) -> Option<Self> {
        if page.notifies() { Notifier::at(vmclock::open(vmclock::DEVICE).ok()?) } else { None }
    }

    /// The device rings until it has been read for the first time, too.
    fn at(fd: OwnedFd) -> Option<Self> {
        let descriptor = Descriptor::of_file(fd).ok()?;
        let seen = read(&descriptor)?;
        Some(Notifier { descriptor, seen })
    }

    pub(super) fn to_wait_for(&self) -> RawFd {
        self.descriptor.to_wait_for()
    }

    /// It rang, and is silent again from here on. Not so where it rings whether anything changed or
    /// not, as on a kernel that cannot wait for the host: then it is of no use.
    pub(crate) fn silence(&mut self) -> bool {
        let Some(sequence) = read(&self.descriptor) else { return false };
        std::mem::replace(&mut self.seen, sequence) != sequence
    }
}

/// Reading is what silences the device.
fn read(descriptor: &Descriptor) -> Option<u32> {
    let number = descriptor.number()?;
    let mut bytes = [0_u8; LENGTH];
    let place = bytes.as_mut_ptr().cast();
    // SAFETY: the buffer is as long as said and outlives the call.
    let read = unsafe { libc::pread(number, place, LENGTH, 0) };
    (read == LENGTH as isize).then(|| sequence_in(&bytes))
}

#[cfg(test)]
mod tests {
    use super::super::vmclock::fake::FakeHost;
    use super::*;

    #[test]
    fn a_bell_is_believed_while_the_page_changes_and_not_once_it_rings_without_a_cause() {
        let host = FakeHost::new();
        assert!(Notifier::of(host.page()).is_none(), "this host rings nobody");
        let mut notifier = Notifier::at(host.descriptor()).unwrap();
        host.adjusts();
        assert!(notifier.silence());
        host.moves();
        assert!(notifier.silence());
        assert!(!notifier.silence());
    }
}
