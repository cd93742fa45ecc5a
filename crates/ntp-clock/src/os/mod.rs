//! The operating system behind one small surface: counters, sleep, one waiting point, a socket.
//!
//! Linux has a module of its own; every other system shares the portable one. Both have the same
//! items, so nothing outside this folder asks which system it runs on.

mod common;
#[cfg(feature = "nts")]
pub(crate) use common::Deadline;
pub(crate) use common::{Beat, Distrust, KernelClock, Life, Line, Slept, Untold, system_now};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(target_os = "linux", test))]
pub(crate) use linux::FakeHost;
#[cfg(all(target_os = "linux", feature = "nts"))]
pub(crate) use linux::Stream;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    Awaited, Bell, Door, Gift, Guest, HostPage, Lifeline, MESSAGE_BYTES, MemoryFile, Notifier,
    Received, Seals, Socket, TICKS_NAME, Ticks, Waiter, Words, beat, boot_id, close_inherited,
    counter_name, counter_steps_back, distrust, has_slept, host_page, kernel_clock, local_now,
    may_have_slept, raw_now, receive, since_boot, slept, spawn_quietly, time_namespace,
    wall_coarse,
};

#[cfg(any(not(target_os = "linux"), test))]
mod portable;
#[cfg(all(not(target_os = "linux"), feature = "nts"))]
pub(crate) use portable::Stream;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{
    Awaited, Bell, HostPage, Lifeline, Notifier, Socket, TICKS_NAME, Ticks, Waiter, beat, boot_id,
    close_inherited, counter_name, counter_steps_back, distrust, has_slept, host_page,
    kernel_clock, local_now, may_have_slept, raw_now, since_boot, slept, spawn_quietly,
    time_namespace, wall_coarse,
};

mod stamping;
pub(crate) use stamping::{counter_is_faked, stamping_now};
