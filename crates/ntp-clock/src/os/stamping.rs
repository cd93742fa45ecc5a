//! The clock that the kernel stamps datagrams with, read from the kernel itself.
//!
//! What the C library says may be another clock: libfaketime and its like put themselves in its
//! place, by milliseconds or by years.

#![allow(unsafe_code)]

use ntp_clock_core::SystemTime;

use super::common::system_now;

/// The kernel's wall clock. Where the system has no such call, the C library's.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) fn stamping_now() -> SystemTime {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec`, of this very layout where pointers have 64 bits, to
    // the address given, which is that of a live local variable.
    let done =
        unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut time) };
    if done != 0 {
        return system_now();
    }
    SystemTime::from_nanos(time.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec))
}

/// The kernel's wall clock, as far as is known here: the C library's.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) fn stamping_now() -> SystemTime {
    system_now()
}

/// Whether the C library's counter is another one than the kernel's, so that other processes have
/// another one, too.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) fn counter_is_faked() -> bool {
    let kernel = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: as in `stamping_now`.
        unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC_RAW, &raw mut time) };
        time.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec)
    };
    let (before, kernels, after) = (super::local_now(), kernel(), super::local_now());
    !(before.as_nanos() <= kernels && kernels <= after.as_nanos())
}

/// Nothing here tells it.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) fn counter_is_faked() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_wall_clock_is_the_c_librarys_where_nobody_fakes_that() {
        let (before, kernel, after) = (system_now(), stamping_now(), system_now());
        assert!(before <= kernel && kernel <= after, "{before:?} {kernel:?} {after:?}");
        assert!(!counter_is_faked());
    }
}
