//! The two threads of a running server: one waits for requests, the other for delays to elapse.
//!
//! They are two because a socket's read time-out is only as fine as the kernel's tick (up to
//! 10 ms), while waiting on a condition is good to a fraction of a millisecond. A request without
//! delay is answered by the first thread, with nothing between receiving and T2.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ntp_clock_core::{Span, UnixTime};

use crate::error::Error;
use crate::model::{Model, Moment, Reply, Request};

/// A running server; dropping it stops it and frees its port.
#[derive(Debug)]
pub(crate) struct Run {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    other_port: UdpSocket,
    model: Arc<Mutex<Model>>,
    started: Instant,
    stopping: AtomicBool,
    queue: Mutex<Queue>,
    queue_changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    entries: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
    held: Option<Held>,
}

/// Something to do at a time. Ordered by time, then by who came first.
#[derive(Debug)]
struct Entry {
    due: Instant,
    number: u64,
    task: Task,
}

#[derive(Debug)]
enum Task {
    Arrive { request: Request, from: SocketAddr },
    Depart { reply: Reply, to: SocketAddr },
    Release { held: u64 },
}

/// A reply kept back for another to overtake it.
#[derive(Debug)]
struct Held {
    number: u64,
    reply: Reply,
    to: SocketAddr,
}

impl Run {
    pub(crate) fn start(
        addr: SocketAddr,
        model: Arc<Mutex<Model>>,
        started: Instant,
    ) -> Result<Run, Error> {
        let bind =
            |addr: SocketAddr| UdpSocket::bind(addr).map_err(|source| Error::Bind { addr, source });
        let socket = bind(addr)?;
        let other_port = bind(SocketAddr::new(addr.ip(), 0))?;
        // Only a net below the datagram that wakes the thread at the end.
        let timed = socket.set_read_timeout(Some(WAKE_AT_LEAST_EVERY));
        timed.map_err(|source| Error::Bind { addr, source })?;
        let shared = Arc::new(Shared {
            socket,
            other_port,
            model,
            started,
            stopping: AtomicBool::new(false),
            queue: Mutex::default(),
            queue_changed: Condvar::new(),
        });
        // Made before the threads: if the second one cannot start, dropping it stops the first.
        let mut run = Run { shared, threads: Vec::new() };
        run.spawn("ntp-test-recv", Shared::receive_loop)?;
        run.spawn("ntp-test-delay", Shared::delay_loop)?;
        Ok(run)
    }

    pub(crate) fn addr(&self) -> io::Result<SocketAddr> {
        self.shared.socket.local_addr()
    }

    fn spawn(&mut self, name: &str, body: fn(&Shared)) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || body(&shared));
        self.threads.push(thread.map_err(Error::Thread)?);
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Under the lock, or the delay thread could miss it between its check and its sleep.
        drop(lock(&self.shared.queue));
        self.shared.queue_changed.notify_all();
        self.shared.wake_receiver();
        for thread in self.threads.drain(..) {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn receive_loop(&self) {
        let mut buffer = [0; DATAGRAM_MAX];
        loop {
            let received = self.socket.recv_from(&mut buffer);
            let now = moment(self.started);
            if self.stopping() {
                return;
            }
            match received {
                Ok((len, from)) => {
                    let request = lock(&self.model).receive(now, &buffer[..len]);
                    if let Some(request) = request {
                        self.arrive_after(now, request, from);
                    }
                }
                Err(error) if is_timeout(&error) => {}
                // Such as an ICMP error on Windows: nothing to do but not to spin.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn delay_loop(&self) {
        while let Some(task) = self.next_task() {
            match task {
                Task::Arrive { request, from } => self.arrive(moment(self.started), &request, from),
                Task::Depart { reply, to } => self.depart(reply, to),
                Task::Release { held } => self.release(|number| number == held),
            }
        }
    }

    /// Waits for the next task to be due; `None` at the end.
    fn next_task(&self) -> Option<Task> {
        let mut queue = lock(&self.queue);
        loop {
            if self.stopping() {
                return None;
            }
            let due = queue.entries.peek().map(|Reverse(entry)| entry.due);
            let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
            queue = match wait {
                Some(Duration::ZERO) => return queue.entries.pop().map(|Reverse(e)| e.task),
                Some(wait) => {
                    let woken = self.queue_changed.wait_timeout(queue, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.queue_changed.wait(queue);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    fn arrive_after(&self, now: Moment, request: Request, from: SocketAddr) {
        match request.after {
            Duration::ZERO => self.arrive(now, &request, from),
            after => self.schedule(after, Task::Arrive { request, from }),
        }
    }

    fn arrive(&self, now: Moment, request: &Request, from: SocketAddr) {
        let reply = lock(&self.model).answer(now, true_time, request);
        match reply {
            None => {}
            Some(reply) if reply.after.is_zero() => self.depart(reply, from),
            Some(reply) => self.schedule(reply.after, Task::Depart { reply, to: from }),
        }
    }

    fn depart(&self, reply: Reply, to: SocketAddr) {
        if let Some(hold) = reply.hold {
            let mut queue = lock(&self.queue);
            if queue.held.is_none() {
                queue.pushed += 1;
                let number = queue.pushed;
                queue.held = Some(Held { number, reply, to });
                drop(queue);
                self.schedule(hold, Task::Release { held: number });
                return;
            }
        }
        self.send(&reply, to);
        self.release(|_| true);
    }

    /// Sends the reply that is kept back, if there is one and it is meant.
    fn release(&self, is_meant: impl Fn(u64) -> bool) {
        let held = lock(&self.queue).held.take_if(|held| is_meant(held.number));
        if let Some(held) = held {
            self.send(&held.reply, held.to);
        }
    }

    fn send(&self, reply: &Reply, to: SocketAddr) {
        let socket = if reply.wire.other_port { &self.other_port } else { &self.socket };
        for _ in 0..1 + u8::from(reply.copies) {
            if socket.send_to(&reply.wire.bytes, to).is_err() {
                lock(&self.model).count_send_error();
            }
        }
    }

    fn schedule(&self, after: Duration, task: Task) {
        let due = Instant::now() + after;
        let mut queue = lock(&self.queue);
        queue.pushed += 1;
        let number = queue.pushed;
        queue.entries.push(Reverse(Entry { due, number, task }));
        self.queue_changed.notify_one();
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn wake_receiver(&self) {
        let Ok(mut addr) = self.socket.local_addr() else { return };
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        // If it is lost, the read time-out does the same a little later.
        let _ = self.other_port.send_to(&[], addr);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// The truth of this server: the system's wall clock, read again each time.
pub(crate) fn true_time() -> UnixTime {
    let epoch = UnixTime::from_nanos(0);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => epoch + Span::from(since),
        Err(before) => epoch - Span::from(before.duration()),
    }
}

/// This moment; the truth first, because T2 hangs on it.
pub(crate) fn moment(started: Instant) -> Moment {
    Moment { truth: true_time(), since_start: started.elapsed() }
}

/// Locks, also after a panic elsewhere: a caller's closure may panic while it edits the behaviour,
/// which leaves it half changed, but sound.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

const WAKE_AT_LEAST_EVERY: Duration = Duration::from_millis(500);
/// Longer datagrams are cut, and then ignored or not by what is left.
const DATAGRAM_MAX: usize = 2048;
