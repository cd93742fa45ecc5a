//! Which counter a clock is to use, as people choose it.

use std::env;
use std::str::FromStr;

use crate::config::ConfigError;
use crate::os::Distrust;
use crate::text::bare;

/// Which free-running counter a clock uses.
///
/// ```
/// use ntp_clock::CounterChoice;
/// assert_eq!("system".parse(), Ok(CounterChoice::System));
/// assert!("sundial".parse::<CounterChoice>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum CounterChoice {
    /// What the environment variable `PORTACODE_NTP_COUNTER` says (`auto`, `system` or
    /// `processor`); without it the system's.
    #[default]
    Auto,
    /// The system's: `CLOCK_MONOTONIC_RAW` on Linux.
    System,
    /// The processor's own (the TSC, or ARM's CNTVCT_EL0) where the kernel makes its clocks of that.
    /// It is read faster. It is not chosen by itself yet: what a suspend or a moved virtual machine
    /// does to it is noticed later than with the system's. Where there is none, the system's;
    /// [`Status::counter_reason`](crate::Status::counter_reason) says why.
    Processor,
}

impl CounterChoice {
    /// With the environment's word where nobody chose.
    pub(crate) fn resolved(self) -> Result<Self, Distrust> {
        let word = env::var_os(VARIABLE).filter(|_| self == CounterChoice::Auto);
        let Some(word) = word else { return Ok(self) };
        word.to_str().and_then(|word| word.parse().ok()).ok_or(Distrust::Misspelt)
    }
}

impl FromStr for CounterChoice {
    type Err = ConfigError;

    /// Reads "auto", "system" or "processor". Blanks and quotation marks around it are taken off,
    /// and upper case is the same as lower case.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match bare(text).to_ascii_lowercase().as_str() {
            "auto" => Ok(CounterChoice::Auto),
            "system" => Ok(CounterChoice::System),
            "processor" => Ok(CounterChoice::Processor),
            _ => Err(ConfigError::Counter(text.to_owned())),
        }
    }
}

/// Chooses where no program does.
const VARIABLE: &str = "PORTACODE_NTP_COUNTER";
