//! What readers and the background thread ask and tell each other, apart from the page.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ntp_clock_core::EngineStatus;

use crate::event::Subscribers;
use crate::failure::{Failure, FailureKind};
use crate::fork;
use crate::moment::Moment;
use crate::os::{Bell, Waiter};
use crate::server::{Server, ServerError};

/// Everything with a lock, a thread or a descriptor: made anew in a forked child.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// The fork generation that this belongs to.
    pub(crate) generation: u64,
    state: Mutex<State>,
    changed: Condvar,
    bell: Option<Bell>,
    stop: AtomicBool,
    /// A reader saw the clocks drift apart and rang the bell.
    alarmed: AtomicBool,
    /// Descriptors to be closed in a forked child, and those of the sockets.
    pub(crate) descriptors: Vec<i32>,
    sockets: [AtomicI32; SOCKETS_MAX],
}

/// What the thread last told about itself, and what is asked of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) status: Option<EngineStatus>,
    pub(crate) address: Option<SocketAddr>,
    /// How often replies began to come from another address.
    pub(crate) server_changes: u64,
    /// The last failure.
    pub(crate) last_error: Option<Failure>,
    /// The last comparison of the counter with the standard library's clock.
    pub(crate) moment: Option<Moment>,
    pub(crate) subscribers: Subscribers,
    /// Rounds asked for so far; each has a number.
    pub(crate) requested: u64,
    /// The newest request whose round is over, and how it ended.
    pub(crate) answered: u64,
    pub(crate) answer: Option<Result<(), Failure>>,
}

impl Runtime {
    pub(crate) fn idle() -> Self {
        Runtime {
            generation: fork::generation(),
            state: Mutex::default(),
            changed: Condvar::new(),
            bell: None,
            stop: AtomicBool::new(false),
            alarmed: AtomicBool::new(false),
            descriptors: Vec::new(),
            sockets: [const { AtomicI32::new(NO_DESCRIPTOR) }; SOCKETS_MAX],
        }
    }

    /// What a thread for this server needs; without one its state says why there is none.
    pub(crate) fn prepare(server: &Result<Server, ServerError>) -> (Self, Option<Waiter>) {
        let problem = match server {
            Ok(_) => match Waiter::new() {
                Ok(waiter) => {
                    let (bell, descriptors) = (Some(waiter.bell()), waiter.descriptors());
                    return (Runtime { bell, descriptors, ..Runtime::idle() }, Some(waiter));
                }
                Err(error) => Failure::new(
                    FailureKind::of_system(&error),
                    format!("could not start: {error}"),
                ),
            },
            Err(error) => Failure::new(FailureKind::NoServer, error.to_string()),
        };
        let runtime = Runtime::idle();
        runtime.lock().last_error = Some(problem);
        (runtime, None)
    }

    /// The state; a panic of another holder does not spoil it, every field stands for itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` gives something or the deadline passes.
    pub(crate) fn wait_for<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(value) = ready(&mut state) {
                return Some(value);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    pub(crate) fn has_thread(&self) -> bool {
        self.bell.is_some()
    }

    pub(crate) fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }

    pub(crate) fn alarm(&self) {
        if !self.alarmed.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }

    /// Whether a reader raised the alarm since the last look.
    pub(crate) fn take_alarm(&self) -> bool {
        self.alarmed.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ring();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Notes which sockets a forked child would have to close.
    pub(crate) fn set_sockets(&self, descriptors: impl IntoIterator<Item = i32>) {
        let mut descriptors = descriptors.into_iter();
        for socket in &self.sockets {
            socket.store(descriptors.next().unwrap_or(NO_DESCRIPTOR), Ordering::Release);
        }
    }

    pub(crate) fn socket_descriptors(&self) -> Vec<i32> {
        let descriptors = self.sockets.iter().map(|socket| socket.load(Ordering::Acquire));
        descriptors.filter(|descriptor| *descriptor != NO_DESCRIPTOR).collect()
    }
}

/// More addresses than the requests of one round reach.
const SOCKETS_MAX: usize = 8;
const NO_DESCRIPTOR: i32 = -1;
