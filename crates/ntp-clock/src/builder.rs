//! Making clocks.

use std::env;
use std::ffi::OsString;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ntp_clock_core::{EngineConfig, Span};

use crate::clock::Clock;
use crate::config::{ConfigError, DEFAULT_POLL_INTERVAL, HOLDOVER_MAX, check_poll_interval};
use crate::counters::Counters;
use crate::journal::Journal;
use crate::keeper;
#[cfg(feature = "nts")]
use crate::nts::KeyServer;
use crate::proof::Security;
use crate::recording::Recording;
use crate::server::{Server, ServerError};

/// Making clocks.
impl Clock {
    /// The clock that all of the program shares: it synchronises with `time.cloudflare.com`, or
    /// with what the environment variable `PORTACODE_NTP_SERVER` names (`host[:port]`).
    ///
    /// A malformed variable leaves the clock unsynchronised, and its status says why.
    pub fn global() -> &'static Clock {
        static GLOBAL: OnceLock<Clock> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let server = match env::var_os(SERVER_VARIABLE) {
                None => Ok(Server::cloudflare()),
                // What is no text is no server either, and its message shows why.
                Some(text) => OsString::into_string(text)
                    .unwrap_or_else(|raw| raw.to_string_lossy().into_owned())
                    .parse(),
            };
            start(server, Security::None, EngineConfig::default(), Weak::new())
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
            security: Security::None,
            poll_interval: DEFAULT_POLL_INTERVAL,
            holdover: Duration::ZERO,
        }
    }
}

/// Chooses a clock's server and habits.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until build()"]
pub struct Builder {
    server: Server,
    security: Security,
    poll_interval: Duration,
    holdover: Duration,
}

impl Builder {
    /// The one server; `time.cloudflare.com` by default.
    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    /// Believes nothing but replies that are proved with keys of this server (Network Time
    /// Security): there is no way back to plain NTP. Time is asked at the address that gave the
    /// keys, or where its server says; the clock goes by the name of [`Builder::server`].
    #[cfg(feature = "nts")]
    pub fn nts(mut self, server: KeyServer) -> Self {
        self.security = Security::Nts(server);
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

    /// Starts the clock: its first request leaves at once.
    ///
    /// # Errors
    /// [`ConfigError`] where a value is outside its range.
    pub fn build(self) -> Result<Clock, ConfigError> {
        self.build_with(Weak::new())
    }

    /// Starts the clock, with a log of all it does from its first request on. A
    /// [`Replay`](crate::Replay) of that log reads as this clock does (holdover apart, which no
    /// log tells of).
    ///
    /// # Errors
    /// [`ConfigError`] where a value is outside its range.
    pub fn build_recorded(self) -> Result<(Clock, Recording), ConfigError> {
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
        Ok(start(Ok(self.server), self.security, config, journal))
    }
}

fn start(
    server: Result<Server, ServerError>,
    security: Security,
    config: EngineConfig,
    journal: Weak<Journal>,
) -> Clock {
    Clock::from_shared(keeper::start(server, security, config, Counters::Os, journal))
}

const SERVER_VARIABLE: &str = "PORTACODE_NTP_SERVER";
