//! Many open WebSockets, of which now and then one asks: what the relay's stamps do to the offset
//! that a client computes, against this machine's wall clock, by which the NTP server is set.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::client::{Client, Target, number};

/// What was seen while they were open.
#[derive(Serialize)]
pub(super) struct Held {
    kind: &'static str,
    target: String,
    asked_for: usize,
    /// Those that could be opened, and those still open at the end.
    opened: usize,
    still_open: usize,
    opened_in_s: f64,
    /// What they add to the server's memory, of which each has its share.
    memory_kib_each: Option<f64>,
    /// The offset that each reply would give, which is how wrong it is.
    errors_us: Vec<f64>,
    /// The bound that goes with it.
    bounds_us: Vec<f64>,
    /// Replies whose bound did not cover their error.
    untrue: usize,
    /// Requests without a reply.
    failed: usize,
}

pub(super) async fn measure(
    target: &Target,
    count: usize,
    length: Duration,
    rate: f64,
    seed: u64,
    memory: Option<&Memory>,
) -> Result<Held> {
    let begun = Instant::now();
    let clients = open(target, count).await;
    let opened_in_s = begun.elapsed().as_secs_f64();
    let opened = clients.len();
    let clients: Arc<Vec<_>> = Arc::new(clients.into_iter().map(Mutex::new).collect());

    let mut dice = fastrand::Rng::with_seed(seed);
    let mut asking = JoinSet::new();
    let begun = Instant::now();
    let mut next = begun;
    while begun.elapsed() < length && opened > 0 {
        let (clients, which) = (Arc::clone(&clients), dice.usize(..opened));
        asking.spawn(async move {
            // One that is asking still is left alone.
            let mut client = clients[which].try_lock().ok()?;
            Some(
                timeout(PATIENCE, exchange(&mut client))
                    .await
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("no reply within {PATIENCE:?}"))),
            )
        });
        // Moments of an even chance, so that none waits for another.
        next += Duration::from_secs_f64(-(1.0 - dice.f64()).ln() / rate);
        sleep_until(next.into()).await;
    }
    let (mut errors_us, mut bounds_us) = (Vec::new(), Vec::new());
    let (mut untrue, mut failed) = (0, 0);
    while let Some(done) = asking.join_next().await {
        match done? {
            None => {}
            Some(Err(_)) => failed += 1,
            Some(Ok((error_us, bound_us))) => {
                untrue += usize::from(error_us > bound_us);
                errors_us.push(error_us);
                bounds_us.push(bound_us);
            }
        }
    }
    let grown = memory.and_then(Memory::grown_kib);
    let memory_kib_each = grown.filter(|_| opened > 0).map(|grown| grown / opened as f64);
    let still_open = all_ask(&clients).await?;
    Ok(Held {
        kind: "held",
        target: target.name.clone(),
        asked_for: count,
        opened,
        still_open,
        opened_in_s,
        memory_kib_each,
        errors_us,
        bounds_us,
        untrue,
        failed,
    })
}

/// As many as can be opened, a few at a time.
async fn open(target: &Target, count: usize) -> Vec<Client> {
    let few = Arc::new(Semaphore::new(AT_A_TIME));
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let (few, target) = (Arc::clone(&few), target.clone());
        opening.spawn(async move {
            let _permit = few.acquire().await.ok()?;
            timeout(PATIENCE, Client::connect(&target)).await.ok()?.ok()
        });
    }
    let mut clients = Vec::with_capacity(count);
    while let Some(done) = opening.join_next().await {
        clients.extend(done.ok().flatten());
    }
    clients
}

/// How many still answer.
async fn all_ask(clients: &Arc<Vec<Mutex<Client>>>) -> Result<usize> {
    let few = Arc::new(Semaphore::new(AT_A_TIME));
    let mut asking = JoinSet::new();
    for which in 0..clients.len() {
        let (few, clients) = (Arc::clone(&few), Arc::clone(clients));
        asking.spawn(async move {
            let Ok(_permit) = few.acquire().await else { return false };
            let mut client = clients[which].lock().await;
            matches!(timeout(PATIENCE, client.ask()).await, Ok(Ok(_)))
        });
    }
    let mut open = 0;
    while let Some(done) = asking.join_next().await {
        open += usize::from(done?);
    }
    Ok(open)
}

/// How wrong the offset of one exchange is, and its bound, microseconds.
async fn exchange(client: &mut Client) -> Result<(f64, f64)> {
    let (t1, begun) = (now_ms(), Instant::now());
    let text = client.ask().await?;
    let (t4, round_trip) = (now_ms(), begun.elapsed().as_secs_f64() * 1e3);
    let reply: Value = serde_json::from_str(&text)?;
    let (t2, t3) = (number(&reply, "server_receive_time")?, number(&reply, "server_send_time")?);
    let offset = ((t2 - t1) + (t3 - t4)) / 2.0;
    let delay = (round_trip - (t3 - t2)).max(0.0);
    let root = number(&reply, "root_delay_ms")? / 2.0 + number(&reply, "root_dispersion_ms")?;
    Ok((offset.abs() * 1e3, (delay / 2.0 + root) * 1e3 + ROUNDING_US))
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

/// The memory of a server since it answered its first requests.
pub(super) struct Memory {
    pid: u32,
    at_first_kib: f64,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Option<Self> {
        Some(Memory { pid, at_first_kib: resident_kib(pid)? })
    }

    fn grown_kib(&self) -> Option<f64> {
        Some(resident_kib(self.pid)? - self.at_first_kib)
    }
}

fn resident_kib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

const AT_A_TIME: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);
/// Of the doubles that times come in.
const ROUNDING_US: f64 = 0.5;
