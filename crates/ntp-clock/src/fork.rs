//! What happens to a clock when its process forks.
//!
//! In the child only the forking thread lives on. Locks may be held by threads that are gone, and
//! the socket is shared with the parent. So the child takes over nothing but plain memory: a
//! counter tells it that it is one, and everything with a lock or a thread is made anew at first
//! use and swapped in; the old one is leaked.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// How many forks lie between the first process that used this crate and this one.
#[inline]
pub(crate) fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Counts forks from now on.
#[cfg(unix)]
pub(crate) fn watch() {
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    REGISTERED.call_once(|| {
        // Its only failure is ENOMEM; then forked children go on as if they were the parent:
        // readings stay right and expire.
        // SAFETY: the handler does nothing but one atomic addition, which is async-signal-safe,
        // and lives as long as the program: a Python module is never unloaded.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// There is no fork here.
#[cfg(not(unix))]
pub(crate) fn watch() {}

static FORKS: AtomicU64 = AtomicU64::new(0);

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
