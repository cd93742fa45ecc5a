//! A gate and the thread that lets out what waited in it.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use futures_util::lock::Mutex as Turn;
use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use crate::gate::{Admitted, Gate, GateLimits};
use crate::times::Times;

/// How often the thread looks whether the clock is synchronised, while something waits.
const LOOK: Duration = Duration::from_millis(20);

/// Where items go that leave the gate: the program's own exporter, after re-dating.
pub(crate) trait Sink: Send + Sync + 'static {
    type Item: Send + 'static;
    type Answer: Send;
    fn bytes(item: &Self::Item) -> usize;
    /// What is answered while something waits.
    fn accepted() -> Self::Answer;
    fn send(&self, batch: Vec<Self::Item>) -> impl Future<Output = Self::Answer> + Send;
}

struct State<T> {
    gate: Gate<T>,
    /// A thread waits until something may leave, or lets it out.
    thread: bool,
    /// A batch that waited is on its way to the exporter.
    sending: bool,
}

/// The gate as those see it who flush it, whatever is behind it.
pub(crate) struct Door<T> {
    times: Arc<dyn Times>,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct Shared<S: Sink> {
    sink: S,
    door: Arc<Door<S::Item>>,
    /// Exporters are never called twice at the same time; async, so that who waits for it in a
    /// runtime does not stop that runtime.
    turn: Turn<()>,
}

/// A sink behind a gate. Dropped, it lets out what waits.
pub(crate) struct Gated<S: Sink>(Arc<Shared<S>>);

impl<S: Sink> Gated<S> {
    pub(crate) fn new(sink: S, times: Arc<dyn Times>, limits: GateLimits) -> Self {
        let state = Mutex::new(State { gate: Gate::new(limits), thread: false, sending: false });
        let door = Arc::new(Door { times, state, changed: Condvar::new() });
        Gated(Arc::new(Shared { sink, door, turn: Turn::new(()) }))
    }

    pub(crate) fn sink(&self) -> &S {
        &self.0.sink
    }

    pub(crate) fn door(&self) -> &Arc<Door<S::Item>> {
        &self.0.door
    }

    /// The sink, while nothing has waited yet.
    pub(crate) fn sink_mut(&mut self) -> Option<&mut S> {
        Arc::get_mut(&mut self.0).map(|shared| &mut shared.sink)
    }

    /// Sends a batch, or has it wait, which is a success.
    pub(crate) async fn export(&self, batch: Vec<S::Item>) -> S::Answer {
        let shared = &self.0;
        shared.door.times.look();
        let admitted = {
            let synchronised = shared.door.times.synchronised();
            let mut state = shared.door.lock();
            let admitted = state.gate.admit(batch, Instant::now(), synchronised, S::bytes);
            if matches!(admitted, Admitted::Waits(_)) && !state.gate.is_empty() && !state.thread {
                state.thread = begin(shared);
                if !state.thread {
                    // Nobody would let it out later.
                    state.gate.open();
                }
            }
            admitted
        };
        match admitted {
            Admitted::Waits(leaving) if leaving.is_empty() => S::accepted(),
            Admitted::Waits(leaving) => {
                let _turn = shared.turn.lock().await;
                // What becomes of these says nothing of those that wait now.
                let _answer = shared.sink.send(leaving).await;
                S::accepted()
            }
            Admitted::Passes(batch) => {
                let _turn = shared.turn.lock().await;
                shared.let_out().await;
                shared.sink.send(batch).await
            }
        }
    }
}

impl<S: Sink> Drop for Gated<S> {
    fn drop(&mut self) {
        self.0.door.open();
    }
}

impl<S: Sink + fmt::Debug> fmt::Debug for Gated<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.sink.fmt(f)
    }
}

impl<T> Door<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<T>>,
        limit: Duration,
    ) -> MutexGuard<'a, State<T>> {
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_open(&self, state: &mut State<T>) -> bool {
        state.gate.is_open(Instant::now(), self.times.synchronised())
    }

    fn open(&self) {
        self.lock().gate.open();
        self.changed.notify_all();
    }

    /// Waits until the clock is synchronised, at most `wait`, lets out what waits, and is back
    /// after `limit` even if the exporter is not. What comes later waits as before.
    pub(crate) fn flush(&self, wait: Duration, limit: Duration) -> OTelSdkResult {
        let begun = Instant::now();
        let mut released = None;
        let mut state = self.lock();
        // Without these nothing waits and nothing is on its way.
        while state.thread || state.sending {
            if released.is_some_and(|batches| state.gate.has_left(batches)) && !state.sending {
                break;
            }
            if begun.elapsed() >= limit {
                return Err(OTelSdkError::Timeout(limit));
            }
            if released.is_none() && (begun.elapsed() >= wait || self.is_open(&mut state)) {
                released = Some(state.gate.release());
                self.changed.notify_all();
            }
            state = self.wait(state, LOOK);
        }
        Ok(())
    }

    /// Opens the gate for good, lets out what waits, and is back after `limit`.
    pub(crate) fn shut_down(&self, limit: Duration) -> OTelSdkResult {
        self.open();
        self.flush(Duration::ZERO, limit)
    }
}

impl<T> fmt::Debug for Door<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("times", &self.times).finish_non_exhaustive()
    }
}

impl<S: Sink> Shared<S> {
    /// Sends what waited, batch by batch; the caller has the turn.
    async fn let_out(&self) {
        while self.let_out_one().await {}
    }

    /// Sends the oldest batch that may leave; `false` where there is none. One that the exporter
    /// refuses is lost, as it would be had it not waited.
    async fn let_out_one(&self) -> bool {
        let Some((batch, _sending)) = self.take_one() else { return false };
        let _refused = self.sink.send(batch).await;
        true
    }

    fn take_one(&self) -> Option<(Vec<S::Item>, Sending<'_, S>)> {
        let mut state = self.door.lock();
        let batch = state.gate.next()?;
        state.sending = true;
        Some((batch, Sending(self)))
    }
}

/// Until it is dropped, a batch is on its way.
struct Sending<'a, S: Sink>(&'a Shared<S>);

impl<S: Sink> Drop for Sending<'_, S> {
    fn drop(&mut self) {
        self.0.door.lock().sending = false;
        self.0.door.changed.notify_all();
    }
}

/// Begins the thread that lets out what waits.
fn begin<S: Sink>(shared: &Arc<Shared<S>>) -> bool {
    let shared = Arc::clone(shared);
    let name = String::from("ntp-clock-otel");
    thread::Builder::new().name(name).spawn(move || let_out_all(&shared)).is_ok()
}

/// Lets out what may leave, until nothing waits any more.
fn let_out_all<S: Sink>(shared: &Shared<S>) {
    // Should it panic, what comes later gets another thread.
    struct Ended<'a, S: Sink>(&'a Shared<S>);
    impl<S: Sink> Drop for Ended<'_, S> {
        fn drop(&mut self) {
            if thread::panicking() {
                self.0.door.lock().thread = false;
                self.0.door.changed.notify_all();
            }
        }
    }
    let _ended = Ended(shared);
    // As in the SDK's own threads: what exporting does is not to be traced itself.
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    let door = &shared.door;
    let one = || {
        block_on(async {
            let _turn = shared.turn.lock().await;
            shared.let_out_one().await
        })
    };
    let mut state = door.lock();
    while !state.gate.is_empty() {
        if door.is_open(&mut state) || state.gate.is_leaving() {
            drop(state);
            // An exporter that panics loses its batch, and the others have their turn.
            let _panicked = catch_unwind(AssertUnwindSafe(one));
            state = door.lock();
        } else {
            state = door.wait(state, LOOK);
        }
    }
    // In the same hold of the lock: what comes from now on gets another thread.
    state.thread = false;
    door.changed.notify_all();
}
