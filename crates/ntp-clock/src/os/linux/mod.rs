//! Linux: CLOCK_MONOTONIC_RAW or the processor's counter, sleep by BOOTTIME - MONOTONIC, a timer that notices when the wall
//! clock is set, kernel timestamps on the socket.

mod clocks;
mod descriptor;
mod door;
mod heartbeat;
mod identity;
mod memory;
mod notifier;
mod processors;
mod socket;
#[cfg(feature = "nts")]
mod stream;
mod ticks;
mod timer;
mod vmclock;
mod waiter;

use std::io;
use std::thread::JoinHandle;

use nix::sys::signal::{SigSet, SigmaskHow};

pub(crate) use clocks::{
    counter_name, has_slept, local_now, may_have_slept, raw_now, since_boot, slept, wall_coarse,
};
pub(crate) use descriptor::close_inherited;
pub(crate) use door::{Door, Gift, Guest, Lifeline, MESSAGE_BYTES, Received, receive};
pub(crate) use heartbeat::{beat, kernel_clock};
pub(crate) use identity::{boot_id, time_namespace};
pub(crate) use memory::{MemoryFile, Seals, Words};
pub(crate) use notifier::Notifier;
pub(crate) use processors::counter_steps_back;
pub(crate) use socket::Socket;
#[cfg(feature = "nts")]
pub(crate) use stream::Stream;
pub(crate) use ticks::{TICKS_NAME, Ticks, distrust};
#[cfg(test)]
pub(crate) use vmclock::fake::FakeHost;
pub(crate) use vmclock::{HostPage, host_page};
pub(crate) use waiter::{Awaited, Bell, Waiter};

/// Starts a thread to which no signal is ever delivered: signals are the program's business. They
/// are blocked before there is a thread that could receive one.
pub(crate) fn spawn_quietly(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    // Fails only for an invalid `how`.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    thread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_its_signals_blocked_before_it_runs_and_its_starter_keeps_its_own() {
        let mine = SigSet::thread_get_mask().unwrap();
        let (tell, receiver) = std::sync::mpsc::channel();
        let thread = spawn_quietly("quiet", move || {
            tell.send(SigSet::thread_get_mask().unwrap()).unwrap();
        });
        let theirs = receiver.recv().unwrap();
        thread.unwrap().join().unwrap();
        assert_eq!(SigSet::thread_get_mask().unwrap(), mine);
        for signal in nix::sys::signal::Signal::iterator() {
            use nix::sys::signal::Signal::{SIGKILL, SIGSTOP};
            assert_eq!(theirs.contains(signal), !matches!(signal, SIGKILL | SIGSTOP), "{signal}");
        }
    }
}
