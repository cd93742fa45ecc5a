//! Making clocks.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ntp_clock_core::{EngineConfig, Span};

use crate::clock::Clock;
use crate::config::{ConfigError, DEFAULT_POLL_INTERVAL, HOLDOVER_MAX, check_poll_interval};
use crate::counter_choice::CounterChoice;
use crate::counters::Counters;
use crate::environment;
use crate::host::{BadWord, Sharing};
use crate::journal::Journal;
use crate::keeper;
use crate::nts_choice::{Nts, NtsError};
use crate::proof::Security;
use crate::recording::Recording;
use crate::server::{Server, ServerError};

/// Making clocks.
impl Clock {
    /// The clock that all of the program shares: it synchronises with `time.cloudflare.com`, or
    /// with what the environment variable `PORTACODE_NTP_SERVER` names (`host[:port]`). With
    /// `PORTACODE_NTP_NTS=required` it believes nothing that is not proved, by the platform's roots
    /// or those in the file that `PORTACODE_NTP_NTS_CA` names, as with [`Builder::nts`].
    ///
    /// With `PORTACODE_NTP_SHARED=1`, or a directory, it is shared as with [`Builder::shared`].
    ///
    /// A variable that cannot be followed leaves the clock unsynchronised, and its status says why.
    pub fn global() -> &'static Clock {
        static GLOBAL: OnceLock<Clock> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let server = environment::server();
            let host = server.clone().unwrap_or_else(|_| Server::cloudflare());
            let security = environment::nts().and_then(|nts| Security::new(nts, &host));
            let sharing = environment::sharing();
            let counter = CounterChoice::Auto;
            start(server, security, EngineConfig::default(), counter, Weak::new(), sharing)
        })
    }

    /// A clock of one's own.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use ntp_clock::Clock;
    /// let clock = Clock::builder()
    ///     .server("localhost:11123".parse()?)
    ///     .holdover(Duration::from_secs(600))
    ///     .build()?;
    /// assert!(clock.now().is_none(), "no reply yet, no guess");
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder {
        Builder {
            server: Server::cloudflare(),
            nts: Nts::Off,
            poll_interval: DEFAULT_POLL_INTERVAL,
            holdover: Duration::ZERO,
            sharing: None,
            counter: CounterChoice::Auto,
        }
    }
}

/// Chooses a clock's server and habits.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until build()"]
pub struct Builder {
    server: Server,
    nts: Nts,
    poll_interval: Duration,
    holdover: Duration,
    sharing: Option<Sharing>,
    counter: CounterChoice,
}

impl Builder {
    /// The one server; `time.cloudflare.com` by default.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// Whether nothing is believed but replies that were proved (Network Time Security); not by
    /// default. There is no way back to plain NTP.
    ///
    /// With it the server's port is the TCP port of the key exchange, 4460 where none is named. Time
    /// is asked at the address that gave the keys, port 123, or where the exchange says; the clock
    /// goes by the name of [`Builder::server`], and [`Status::nts`](crate::Status::nts) has the
    /// other one.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ntp_clock::{Clock, Nts, NtsRoots};
    /// let clock = Clock::builder().nts(Nts::Required(NtsRoots::Platform)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn nts(mut self, nts: Nts) -> Self {
        self.nts = nts;
        self
    }

    /// Pause between polls, 1 s to one day; 5 minutes by default.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// For how long readings go on, with growing errors, once the clock has failed; not at all by
    /// default, at most 30 days.
    pub fn holdover(mut self, holdover: Duration) -> Self {
        self.holdover = holdover;
        self
    }

    /// One clock for all processes of this machine that ask for the same server: one of them
    /// synchronises, all of them read what it writes; when it ends, another one goes on. Not so by
    /// default. Poll interval and holdover are those of the process that writes.
    ///
    /// Where sharing is not possible the clock is one of its own, and
    /// [`Status::sharing`](crate::Status::sharing) says why.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ntp_clock::{Clock, Sharing};
    /// let clock = Clock::builder().shared(Sharing::of_user()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared(mut self, sharing: Sharing) -> Self {
        self.sharing = Some(sharing);
        self
    }

    /// Which counter the clock runs on; by default the system's.
    pub fn counter(mut self, counter: CounterChoice) -> Self {
        self.counter = counter;
        self
    }

    /// Starts the clock: its first request leaves at once.
    ///
    /// # Errors
    /// [`ConfigError`] where a value is outside its range, or NTS is required and cannot be had.
    pub fn build(self) -> Result<Clock, ConfigError> {
        self.build_with(Weak::new())
    }

    /// Starts the clock, with a log of all it does from its first request on. A
    /// [`Replay`](crate::Replay) of that log reads as this clock does (holdover apart, which no
    /// log tells of).
    ///
    /// # Errors
    /// [`ConfigError`] where a value is outside its range, NTS is required and cannot be had, or the
    /// clock is shared.
    pub fn build_recorded(self) -> Result<(Clock, Recording), ConfigError> {
        if self.sharing.is_some() {
            return Err(ConfigError::SharedRecording);
        }
        let journal = Arc::new(Journal::new());
        let clock = self.build_with(Arc::downgrade(&journal))?;
        let recording = Recording::of(journal, clock.clone());
        Ok((clock, recording))
    }

    fn build_with(self, journal: Weak<Journal>) -> Result<Clock, ConfigError> {
        let poll_interval = check_poll_interval(self.poll_interval)?;
        if self.holdover > HOLDOVER_MAX {
            return Err(ConfigError::Holdover(self.holdover));
        }
        let config = EngineConfig {
            poll_interval,
            holdover: Span::from(self.holdover),
            ..EngineConfig::default()
        };
        let security = Security::new(self.nts, &self.server)?;
        Ok(start(Ok(self.server), Ok(security), config, self.counter, journal, Ok(self.sharing)))
    }
}

fn start(
    server: Result<Server, ServerError>,
    security: Result<Security, NtsError>,
    config: EngineConfig,
    counter: CounterChoice,
    journal: Weak<Journal>,
    sharing: Result<Option<Sharing>, BadWord>,
) -> Clock {
    let counters = match sharing {
        Ok(None) => Counters::of_system(counter),
        _ => Counters::for_sharing(counter),
    };
    Clock::from_shared(keeper::start(server, security, config, counters, journal, sharing))
}
