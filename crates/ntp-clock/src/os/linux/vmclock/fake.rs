//! A page of a test's own, in memory that cannot shrink, and the host that writes to it.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::{COUNTS_GENERATIONS, HostPage, LENGTH, Layout, page_size};

/// A host that tells a machine of a test's own what happened to it.
#[derive(Debug)]
pub(crate) struct FakeHost {
    pub(super) fd: OwnedFd,
    pub(super) layout: &'static Layout,
}

impl FakeHost {
    /// A page as a host makes it that counts generations, and rings nobody.
    pub(crate) fn new() -> Self {
        let host = FakeHost::unsealed();
        // SAFETY: takes numbers alone.
        let sealed =
            unsafe { libc::fcntl(host.fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) };
        assert_eq!(sealed, 0);
        host
    }

    /// The same in a file that can be cut.
    pub(super) fn unsealed() -> Self {
        let name: &CStr = c"fake-vmclock";
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a string with its end.
        let number = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        assert!(number >= 0);
        // SAFETY: the kernel has just given us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        let length = page_size();
        // SAFETY: takes numbers alone.
        assert_eq!(unsafe { libc::ftruncate(number, length as libc::off_t) }, 0);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let here = std::ptr::null_mut();
        // SAFETY: a new mapping of the file made above, at no particular place.
        let memory = unsafe { libc::mmap(here, length, access, libc::MAP_SHARED, number, 0) };
        assert_ne!(memory, libc::MAP_FAILED);
        // SAFETY: a page is larger than the layout and aligned, and stays mapped.
        let layout = unsafe { &*memory.cast::<Layout>() };
        layout.magic.store(u32::from_le_bytes(*b"VCLK").to_le(), Ordering::SeqCst);
        layout.size.store((length as u32).to_le(), Ordering::SeqCst);
        layout.version.store(1_u16.to_le(), Ordering::SeqCst);
        layout.counter_id.store(0xFF, Ordering::SeqCst);
        layout.flags.store(COUNTS_GENERATIONS.to_le(), Ordering::SeqCst);
        assert!(length >= LENGTH);
        FakeHost { fd, layout }
    }

    /// The page as the machine sees it, for as long as the test runs.
    pub(crate) fn page(&self) -> &'static HostPage {
        Box::leak(Box::new(HostPage::map(&self.fd).expect("a good page")))
    }

    /// Another descriptor of the page.
    pub(crate) fn descriptor(&self) -> OwnedFd {
        self.fd.try_clone().expect("a descriptor")
    }

    /// The counter was disturbed.
    pub(crate) fn moves(&self) {
        self.change(|layout| add(&layout.marker));
    }

    /// The machine was loaded from a snapshot.
    pub(crate) fn restores(&self) {
        self.change(|layout| {
            add(&layout.marker);
            add(&layout.generation);
        });
    }

    /// The page is written, and says what it said before: the host knows the time better, say.
    pub(crate) fn adjusts(&self) {
        self.change(|_| {});
    }

    /// A change begins; it ends with [`FakeHost::ends`].
    pub(crate) fn begins(&self) {
        self.step(|sequence| sequence | 1);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn ends(&self) {
        fence(Ordering::SeqCst);
        self.step(|sequence| sequence.wrapping_add(1));
    }

    fn step(&self, next: impl Fn(u32) -> u32) {
        let sequence = u32::from_le(self.layout.sequence.load(Ordering::SeqCst));
        self.layout.sequence.store(next(sequence).to_le(), Ordering::SeqCst);
    }

    fn change(&self, write: impl FnOnce(&Layout)) {
        self.begins();
        write(self.layout);
        self.ends();
    }
}

fn add(field: &AtomicU64) {
    let value = u64::from_le(field.load(Ordering::SeqCst)).wrapping_add(1);
    field.store(value.to_le(), Ordering::SeqCst);
}
