//! What happens to a clock when its process forks.
//!
//! In the child only the forking thread lives on. Locks may be held by threads that are gone, and
//! descriptors are shared with the parent. So the child takes over nothing but plain memory: a
//! counter tells it that it is one, and everything with a lock or a thread is made again at first
//! use and swapped in; the old one is leaked.
//!
//! The counter is in a page that the kernel wipes in every child, also in one that was made behind
//! the C library's back. Where the kernel does not do that, a handler of the C library's counts.

#![allow(unsafe_code)]

use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// How many forks lie between the first process that used this crate and this one, and one more.
#[inline]
pub(crate) fn generation() -> u64 {
    // SAFETY: the pointer is to a static, or to a page that is never unmapped.
    let shared = unsafe { &*GENERATION.load(Ordering::Relaxed) }.load(Ordering::Relaxed);
    if shared == WIPED { next_generation() } else { shared }
}

/// In a child whose page is wiped: this is the next generation, whichever of its threads finds out.
#[cold]
fn next_generation() -> u64 {
    // SAFETY: as in `generation`.
    let page = unsafe { &*GENERATION.load(Ordering::Relaxed) };
    let next = COUNTED.load(Ordering::Acquire) + 1;
    match page.compare_exchange(WIPED, next, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            COUNTED.store(next, Ordering::Release);
            next
        }
        Err(shared) => shared,
    }
}

/// Counts forks from now on.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        if !watch_by_page() {
            watch_by_handler();
        }
    });
}

/// Has the kernel wipe the counter in every child (since Linux 4.14).
#[cfg(target_os = "linux")]
fn watch_by_page() -> bool {
    let size = 4096;
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping of our own, at no particular place.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), size, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping was made just above. On pages larger than that all of it is one page.
    if unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: as above, and nobody has seen it.
        unsafe { libc::munmap(page, size) };
        return false;
    }
    let page = page.cast::<AtomicU64>();
    // SAFETY: the mapping is zeros, which are an atomic, is aligned to a page, and stays for ever.
    unsafe { &*page }.store(COUNTED.load(Ordering::Acquire), Ordering::Release);
    GENERATION.store(page, Ordering::Release);
    true
}

#[cfg(not(target_os = "linux"))]
fn watch_by_page() -> bool {
    false
}

/// Its only failure is ENOMEM; then forked children go on as if they were the parent: readings
/// stay right and expire.
#[cfg(unix)]
fn watch_by_handler() {
    extern "C" fn in_child() {
        COUNTED.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler does nothing but one atomic addition, which is async-signal-safe, and
    // lives as long as the program: a Python module is never unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

/// There is no fork here.
#[cfg(not(unix))]
fn watch_by_handler() {}

/// Where the generation is published: in a page of its own, or where it is counted.
static GENERATION: AtomicPtr<AtomicU64> = AtomicPtr::new((&raw const COUNTED).cast_mut());
/// The generation as last known, in memory that children inherit.
static COUNTED: AtomicU64 = AtomicU64::new(1);
const WIPED: u64 = 0;

/// A value that can be replaced without a lock; replaced values are leaked, because threads of
/// the parent may have held references into them when they ceased to be.
#[derive(Debug)]
pub(crate) struct ForkCell<T>(AtomicPtr<T>);

impl<T> ForkCell<T> {
    pub(crate) fn new(value: T) -> Self {
        ForkCell(AtomicPtr::new(Box::into_raw(Box::new(value))))
    }

    pub(crate) fn get(&self) -> &T {
        // SAFETY: the pointer came from `Box::into_raw` and is freed only by `drop`, which has
        // exclusive access; `replace` leaks the old value. So it is valid as long as `self` is.
        unsafe { &*self.0.load(Ordering::Acquire) }
    }

    /// Puts `value` in the place of `old`, unless another thread was faster.
    pub(crate) fn replace(&self, old: &T, value: T) -> bool {
        let new = Box::into_raw(Box::new(value));
        let old = std::ptr::from_ref(old).cast_mut();
        match self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => {
                // SAFETY: `new` came from `Box::into_raw` just above and was shared with nobody.
                drop(unsafe { Box::from_raw(new) });
                false
            }
        }
    }
}

impl<T> Drop for ForkCell<T> {
    fn drop(&mut self) {
        // SAFETY: as in `get`; `&mut self` says that no reference handed out is left.
        drop(unsafe { Box::from_raw(*self.0.get_mut()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_value_stays_readable_and_the_loser_is_dropped() {
        let cell = ForkCell::new(String::from("parent"));
        let old = cell.get();
        assert!(cell.replace(old, String::from("child")));
        assert!(!cell.replace(old, String::from("late")));
        assert_eq!((old.as_str(), cell.get().as_str()), ("parent", "child"));
    }
}
