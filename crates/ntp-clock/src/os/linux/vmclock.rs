//! What a host says to its virtual machine in the page of `/dev/vmclock0`: that the counter was
//! disturbed, or the machine loaded from a snapshot. Never taken as a source of time.
//!
//! The layout is that of Linux' `vmclock-abi.h`, version 1, little-endian.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use super::super::common::{Life, Untold};

/// The host's page, mapped for reading. It is mapped once a process and never unmapped, so that
/// readers need no lock, and a forked child reads the same one.
#[derive(Debug)]
pub(crate) struct HostPage(&'static Layout);

/// The page's fields. Others write to them at any time, so they are read as atomics, by relaxed
/// loads alone, which are allowed on memory that may only be read.
#[derive(Debug)]
#[repr(C)]
struct Layout {
    magic: AtomicU32,
    size: AtomicU32,
    version: AtomicU16,
    counter_id: AtomicU8,
    time_type: AtomicU8,
    /// Odd while what follows is written.
    sequence: AtomicU32,
    marker: AtomicU64,
    flags: AtomicU64,
    /// The host's time, which is not asked.
    time: [AtomicU64; 9],
    generation: AtomicU64,
}

const _: () = assert!(offset_of!(Layout, generation) == 104 && size_of::<Layout>() == LENGTH);

/// The page of this machine's host, or why nothing is read from it. Looked for once.
pub(crate) fn host_page() -> Result<&'static HostPage, Untold> {
    // No lock: a fork while another thread holds it would leave it held in the child for ever.
    static PAGE: AtomicPtr<Result<HostPage, Untold>> = AtomicPtr::new(std::ptr::null_mut());
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let found = Box::into_raw(Box::new(open(DEVICE).and_then(|fd| HostPage::map(&fd))));
        let order = (Ordering::AcqRel, Ordering::Acquire);
        // Where another thread was faster, its page is taken and this one is leaked.
        page = PAGE
            .compare_exchange(std::ptr::null_mut(), found, order.0, order.1)
            .map_or_else(|faster| faster, |_| found);
    }
    // SAFETY: it came from a box that nobody takes back.
    unsafe { &*page }.as_ref().map_err(|untold| *untold)
}

pub(super) fn open(path: &CStr) -> Result<OwnedFd, Untold> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    // SAFETY: the path is a string with its end; nothing else is handed over.
    let number = unsafe { libc::open(path.as_ptr(), flags) };
    if number >= 0 {
        // SAFETY: the kernel has just given us this descriptor.
        return Ok(unsafe { OwnedFd::from_raw_fd(number) });
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Err(Untold::Absent),
        _ => Err(Untold::Unreadable),
    }
}

impl HostPage {
    /// Maps the page behind a descriptor, which may be closed afterwards.
    pub(super) fn map(fd: &OwnedFd) -> Result<Self, Untold> {
        // The format is defined for 64 bits at once; no host tells a 32-bit machine anything.
        if cfg!(not(target_pointer_width = "64")) {
            return Err(Untold::Absent);
        }
        let length = page_size();
        if !holds_for_ever(fd, length)? {
            return Err(Untold::MayShrink);
        }
        let (access, kind) = (libc::PROT_READ, libc::MAP_SHARED);
        let here = std::ptr::null_mut();
        // SAFETY: a new mapping at no particular place. The kernel's driver maps exactly one page.
        let page = unsafe { libc::mmap(here, length, access, kind, fd.as_raw_fd(), 0) };
        if page == libc::MAP_FAILED {
            return Err(Untold::Unreadable);
        }
        // SAFETY: a page is larger than the layout and aligned; this one never shrinks, and stays
        // mapped unless it is given up just below.
        let checked = check(unsafe { &*page.cast::<Layout>() });
        if checked.is_err() {
            // SAFETY: it was mapped just above, and nobody refers to it.
            unsafe { libc::munmap(page, length) };
        }
        checked.map(HostPage)
    }

    /// What the host says, or [`Life::UNCLEAR`] while it changes that. No lock, no call, no retry:
    /// two cache lines that nobody writes to but the host.
    ///
    /// Fields of two states of the page may come together. What is wrong so differs from what was
    /// before, and a caller that notices this has a closer [look](HostPage::look).
    #[inline]
    pub(crate) fn glance(&self) -> Life {
        if word(&self.0.sequence) & 1 == 1 { Life::UNCLEAR } else { self.life() }
    }

    /// The same for certain: fields of one state of the page. Where the host does not end a change
    /// within some microseconds, that is [`Life::UNCLEAR`].
    #[cold]
    pub(crate) fn look(&self) -> Life {
        for _ in 0..LOOKS {
            let before = word(&self.0.sequence);
            fence(Ordering::Acquire);
            if before & 1 == 0 {
                let life = self.life();
                fence(Ordering::Acquire);
                if word(&self.0.sequence) == before {
                    return life;
                }
            }
            std::hint::spin_loop();
        }
        Life::UNCLEAR
    }

    /// Whether the host rings when it has changed the page.
    pub(super) fn notifies(&self) -> bool {
        long(&self.0.flags) & NOTIFIES != 0
    }

    #[inline]
    fn life(&self) -> Life {
        let counts = long(&self.0.flags) & COUNTS_GENERATIONS != 0;
        let generation = if counts { long(&self.0.generation) } else { 0 };
        Life { marker: long(&self.0.marker), generation }
    }
}

/// Whether it is a page as it is known here, by the fields that never change.
fn check(layout: &Layout) -> Result<&Layout, Untold> {
    if word(&layout.magic) != u32::from_le_bytes(*b"VCLK") {
        return Err(Untold::NoVmclock);
    }
    if u16::from_le(layout.version.load(Ordering::Relaxed)) != 1 {
        return Err(Untold::OtherVersion);
    }
    if word(&layout.size) < SMALLEST { Err(Untold::TooShort) } else { Ok(layout) }
}

#[inline]
fn word(field: &AtomicU32) -> u32 {
    u32::from_le(field.load(Ordering::Relaxed))
}

#[inline]
fn long(field: &AtomicU64) -> u64 {
    u64::from_le(field.load(Ordering::Relaxed))
}

/// The sequence count in what was read from the device.
pub(super) fn sequence_in(bytes: &[u8; LENGTH]) -> u32 {
    let at = |byte: usize| bytes[offset_of!(Layout, sequence) + byte];
    u32::from_le_bytes([at(0), at(1), at(2), at(3)])
}

/// Whether the page behind this descriptor can never go away: to touch a page that a file has lost
/// ends the process (SIGBUS). A device keeps its page for as long as it is mapped; a file in memory
/// does where it is sealed against shrinking; any other file can be cut by anyone who may write to
/// it.
fn holds_for_ever(fd: &OwnedFd, length: usize) -> Result<bool, Untold> {
    // SAFETY: plain numbers, for which zeros are fine.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `stat` of ours, which the kernel fills.
    if unsafe { libc::fstat(fd.as_raw_fd(), &raw mut stat) } != 0 {
        return Err(Untold::Unreadable);
    }
    if stat.st_mode & libc::S_IFMT == libc::S_IFCHR {
        return Ok(true);
    }
    // SAFETY: takes numbers alone.
    let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
    let sealed = seals >= 0 && seals & libc::F_SEAL_SHRINK != 0;
    if sealed && (stat.st_size as u64) < length as u64 {
        return Err(Untold::TooShort);
    }
    Ok(sealed)
}

fn page_size() -> usize {
    // SAFETY: takes a number alone.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

pub(super) const DEVICE: &CStr = c"/dev/vmclock0";
/// The structure with its generation counter.
pub(super) const LENGTH: usize = 112;
/// The structure without it, as of the first kernels that had it.
const SMALLEST: u32 = 104;
const COUNTS_GENERATIONS: u64 = 1 << 8;
const NOTIFIES: u64 = 1 << 9;
/// Some ten microseconds: a host writes three words, unless it is interrupted.
const LOOKS: usize = 256;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
