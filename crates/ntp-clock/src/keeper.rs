//! Keeps a thread behind a clock: starts it, starts it again where the system had none to give or
//! it died, and gives a forked child one of its own.
//!
//! Starting is a state that is tried again by each caller that reads, asks or waits, with growing
//! pauses. A thread goes on from what the page says, no matter who wrote that.

use std::sync::Arc;
use std::sync::Weak;

use ntp_clock_core::EngineConfig;

use crate::counters::Counters;
use crate::environment::EnvironmentError;
use crate::failure::{Failure, FailureKind};
use crate::fork;
use crate::host::{self, BadWord, Sharing};
use crate::journal::Journal;
use crate::nts_choice::NtsError;
use crate::os;
use crate::proof::Security;
use crate::runtime::{Runtime, Thread};
use crate::server::{Server, ServerError};
use crate::shared::Shared;

/// A clock that synchronises by itself with `server`, from now on. What it does goes into the
/// journal for as long as somebody keeps that.
pub(crate) fn start(
    server: Result<Server, ServerError>,
    security: Result<Security, NtsError>,
    config: EngineConfig,
    counters: Counters,
    journal: Weak<Journal>,
    sharing: Result<Option<Sharing>, BadWord>,
) -> Arc<Shared> {
    fork::watch();
    let runtime = runtime_for(EnvironmentError::of(&server, &security));
    let shared = Shared::new(server, security, config, counters, journal, runtime);
    let shared = Arc::new(shared.shared_as(sharing));
    start_thread(&shared);
    shared
}

/// To be called before a clock is used: in a forked child it starts a life of its own.
#[inline]
pub(crate) fn notice_fork(shared: &Arc<Shared>) {
    if shared.runtime().is_inherited() {
        start_in_child(shared);
    }
}

/// To be called where the clock is of no use as it is: perhaps there is no thread behind it.
#[cold]
pub(crate) fn look_after(shared: &Arc<Shared>) {
    notice_fork(shared);
    if shared.runtime().thread() == Thread::Wanted {
        start_thread(shared);
    }
}

#[cold]
fn start_in_child(shared: &Arc<Shared>) {
    let inherited = shared.runtime();
    if !inherited.is_inherited() {
        return; // Another thread of the child was faster.
    }
    let runtime = match inherited.thread() {
        Thread::None if shared.environment_error().is_none() => Runtime::new(Thread::None),
        _ => runtime_for(shared.environment_error()),
    };
    runtime.lock().address = inherited.address_to_inherit();
    // From this exchange on nobody meets a lock of the parent's.
    if shared.replace_runtime(inherited, runtime) {
        os::close_inherited();
        start_thread(shared);
    }
}

/// What a thread needs; where it could ask nobody, there is none and the state says why.
fn runtime_for(error: Option<EnvironmentError>) -> Runtime {
    let Some(error) = error else { return Runtime::new(Thread::Wanted) };
    let runtime = Runtime::new(Thread::None);
    let failure = match error {
        EnvironmentError::Server(error) => Failure::new(FailureKind::NoServer, error.to_string()),
        EnvironmentError::Nts(_) => Failure::new(FailureKind::NoNts, error.to_string()),
    };
    runtime.lock().last_error = Some(failure);
    runtime
}

/// Starts the thread, if there is anything for it to do and it is time to try.
fn start_thread(shared: &Arc<Shared>) {
    let now = shared.counters.local();
    if !shared.runtime().begin_start(now) {
        return;
    }
    let watch = Watch(Arc::clone(shared));
    let started = os::spawn_quietly(THREAD_NAME, move || {
        host::keep(&watch.0);
    });
    if let Err(error) = started {
        let detail = format!("could not start the synchronisation thread: {error}");
        let failure = Failure::new(FailureKind::of_system(&error), detail);
        shared.runtime().thread_failed(failure, now);
    }
}

/// Tells when the thread ends by a panic.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        // It is dropped as well by a thread that has done, and by one that could not be started.
        if !std::thread::panicking() {
            return;
        }
        let shared = &self.0;
        if let Some(journal) = shared.journal.upgrade() {
            journal.break_off();
        }
        let detail = "the synchronisation thread died; another one is started";
        let failure = Failure::new(FailureKind::ThreadDied, detail);
        shared.runtime().thread_failed(failure, shared.counters.local());
    }
}

const THREAD_NAME: &str = "ntp-clock";

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use ntp_clock_core::LocalTime;

    use super::*;
    use crate::clock::Clock;
    use crate::counter_choice::CounterChoice;

    #[test]
    fn waiting_ends_at_its_time_out_also_while_there_is_no_thread_to_be_had() {
        let runtime = Runtime::new(Thread::Wanted);
        runtime.lock().next_start = Some(LocalTime::MAX);
        let shared = Shared::new(
            Ok("127.0.0.1:1".parse().expect("an address")),
            Ok(Security::None),
            EngineConfig::default(),
            Counters::of_system(CounterChoice::System),
            Weak::new(),
            runtime,
        );
        let clock = Clock::from_shared(Arc::new(shared));
        let (done, outcome) = mpsc::channel();
        std::thread::spawn(move || {
            let synced = clock.wait_synced(Duration::from_millis(20));
            let time = ntp_clock_core::UnixTime::from_nanos(0);
            let past = clock.wait_until_past(time, Duration::from_millis(20));
            done.send((synced, past.is_ok()))
        });
        assert_eq!(outcome.recv_timeout(Duration::from_secs(20)), Ok((false, false)));
    }
}
