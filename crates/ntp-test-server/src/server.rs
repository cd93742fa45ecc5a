//! The handle of a server, and its builder.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ntp_clock_core::UnixTime;

use crate::behaviour::Behaviour;
use crate::change::Change;
use crate::error::Error;
use crate::model::{Model, Moment};
use crate::run::{self, Run, lock};
use crate::script::Script;
use crate::stats::Stats;

/// An NTP server in this process. It stops when dropped.
///
/// ```
/// use ntp_clock_core::Span;
/// use ntp_test_server::{Fault, TestServer};
/// let mut server = TestServer::builder().seed(42).spawn()?;
/// let addr = server.addr();
/// server.set(|b| b.offset = Span::from_secs(3600));
/// server.set(|b| b.faults.next(2, Fault::Kiss(*b"RATE")));
/// assert!(server.claimed_time() - server.true_time() > Span::from_secs(3590));
/// server.stop();
/// server.start()?;
/// assert_eq!(server.addr(), addr);
/// # Ok::<(), ntp_test_server::Error>(())
/// ```
#[derive(Debug)]
pub struct TestServer {
    addr: SocketAddr,
    started: Instant,
    model: Arc<Mutex<Model>>,
    run: Option<Run>,
}

impl TestServer {
    /// A builder; its defaults make an honest server on a free port of 127.0.0.1.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Stops serving and frees the port; replies still under way are gone. Returns when the threads
    /// have ended, within some milliseconds. Does nothing if it is stopped already.
    ///
    /// To a client this is a killed server: where its socket is connected, its requests are
    /// refused by the system. To be merely silent, use [`Fault::Silence`](crate::Fault::Silence).
    pub fn stop(&mut self) {
        self.run = None;
    }

    /// Serves again on the same address, with the behaviour, the statistics and the script where
    /// they are: changes that came due meanwhile have been made. Does nothing if it is running.
    ///
    /// # Errors
    /// [`Error::Bind`] if somebody has taken the port meanwhile, [`Error::Thread`] if the system
    /// starts no more threads.
    pub fn start(&mut self) -> Result<(), Error> {
        if self.run.is_none() {
            self.run = Some(Run::start(self.addr, Arc::clone(&self.model), self.started)?);
        }
        Ok(())
    }

    /// Changes the behaviour, from the next packet on, and returns what the closure does. Packets
    /// whose delay has begun keep it.
    pub fn set<R>(&self, edit: impl FnOnce(&mut Behaviour) -> R) -> R {
        lock(&self.model).edit(self.now(), edit)
    }

    /// Makes a change, such as one read from text.
    pub fn apply(&self, change: &Change) {
        self.set(|b| change.apply(b));
    }

    /// The behaviour now, scripted changes included.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        lock(&self.model).behaviour(self.now())
    }

    /// The address listened on, with the port that was given for port 0.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The seed of all randomness.
    #[must_use]
    pub fn seed(&self) -> u64 {
        lock(&self.model).seed()
    }

    /// What has been seen and done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        lock(&self.model).stats()
    }

    /// Time since the server was first started: the time of its script and its statistics.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The truth: the system's wall clock (`CLOCK_REALTIME`), read now.
    #[must_use]
    pub fn true_time(&self) -> UnixTime {
        run::true_time()
    }

    /// What the server would stamp now: the truth with offset and drift.
    #[must_use]
    pub fn claimed_time(&self) -> UnixTime {
        lock(&self.model).claimed_now(self.now())
    }

    fn now(&self) -> Moment {
        run::moment(self.started)
    }
}

/// Makes a [`TestServer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    addr: SocketAddr,
    seed: u64,
    behaviour: Behaviour,
    script: Script,
}

impl Builder {
    /// Where to listen; port 0 means any free one. By default 127.0.0.1, port 0.
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// The seed of all randomness. By default 1, so that a test repeats.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Changes the behaviour to start with.
    pub fn behaviour<R>(mut self, edit: impl FnOnce(&mut Behaviour) -> R) -> Self {
        edit(&mut self.behaviour);
        self
    }

    /// What is to change when. Replaces an earlier script.
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// [`Error::Bind`] if the address cannot be had, [`Error::Thread`] if the system starts no
    /// more threads.
    pub fn spawn(self) -> Result<TestServer, Error> {
        let started = Instant::now();
        let model = Model::new(self.seed, self.behaviour, self.script, run::true_time());
        let model = Arc::new(Mutex::new(model));
        let run = Run::start(self.addr, Arc::clone(&model), started)?;
        let addr = run.addr().map_err(|source| Error::Bind { addr: self.addr, source })?;
        Ok(TestServer { addr, started, model, run: Some(run) })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            behaviour: Behaviour::default(),
            script: Script::default(),
        }
    }
}
