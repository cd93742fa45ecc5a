//! Whether replies must be proved, as people choose it: Network Time Security or plain NTP.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::text::bare;

/// Whether a clock believes nothing but what was proved (Network Time Security, RFC 8915).
///
/// ```
/// use ntp_clock::{Nts, NtsRoots};
/// assert_eq!(Nts::default(), Nts::Off);
/// assert_eq!("required".parse(), Ok(Nts::Required(NtsRoots::Platform)));
/// let ours = Nts::Required(NtsRoots::File("/etc/ntp-clock/ca.pem".into()));
/// # let _ = ours;
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub enum Nts {
    /// Plain NTP: anyone who can change packets on the way can change the time.
    #[default]
    Off,
    /// Only replies that were proved with keys from the server, whose certificate is by one of
    /// these roots. There is no way back to plain NTP.
    Required(NtsRoots),
}

/// Whose word counts for that a server is the one that was named.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub enum NtsRoots {
    /// That of the certificates which this machine trusts.
    #[default]
    Platform,
    /// That of the certificates in this file, PEM, and nobody else's. It is read when the clock is
    /// made.
    File(PathBuf),
}

impl Nts {
    /// What a word and perhaps a file of certificates choose, as arguments have them.
    ///
    /// # Errors
    /// [`NtsError::Word`]; [`NtsError::RootsWithoutNts`] where a file is named and the word is
    /// "off": a user who names roots means to have something proved.
    pub fn from_words(word: &str, roots: Option<PathBuf>) -> Result<Nts, NtsError> {
        match (word.parse()?, roots) {
            (Nts::Off, Some(file)) => Err(NtsError::RootsWithoutNts(file)),
            (Nts::Off, None) => Ok(Nts::Off),
            (Nts::Required(_), roots) => {
                Ok(Nts::Required(roots.map_or(NtsRoots::Platform, NtsRoots::File)))
            }
        }
    }
}

impl FromStr for Nts {
    type Err = NtsError;

    /// Reads "off" or "required", which is by the platform's roots. As with servers, blanks and
    /// quotation marks around it are taken off, and upper case is the same as lower case.
    fn from_str(text: &str) -> Result<Self, NtsError> {
        match bare(text).to_ascii_lowercase().as_str() {
            "off" => Ok(Nts::Off),
            "required" => Ok(Nts::Required(NtsRoots::Platform)),
            _ => Err(NtsError::Word(text.to_owned())),
        }
    }
}

impl fmt::Display for Nts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nts::Off => "off",
            Nts::Required(_) => "required",
        })
    }
}

impl fmt::Display for NtsRoots {
    /// "platform", or the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NtsRoots::Platform => f.write_str("platform"),
            NtsRoots::File(file) => write!(f, "{}", file.display()),
        }
    }
}

/// Why a clock cannot require Network Time Security as it was chosen.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NtsError {
    /// Another word.
    #[error("NTS must be \"off\" or \"required\", not {0:?}")]
    Word(String),
    /// A file of roots is named, but NTS is off.
    #[error("certificates to trust are named ({0:?}), but NTS is off; say that it is \"required\"")]
    RootsWithoutNts(PathBuf),
    /// This program has no NTS in it.
    #[error(
        "NTS is required, but this program was built without it; build it with the feature nts of \
         the crate ntp-clock"
    )]
    NotBuilt,
    /// No certificate proves this host's name.
    #[error("no certificate can prove {0:?}; with NTS name the server by a host name or address")]
    Host(String),
    /// The file cannot be read, or is not PEM.
    #[error("cannot read certificates from {0:?}: {1}")]
    Unreadable(PathBuf, String),
    /// A certificate in the file cannot be a root.
    #[error("a certificate in {0:?} cannot be trusted: {1}")]
    Unusable(PathBuf, String),
    /// There is no certificate in the file.
    #[error("found no certificate in {0:?}; the file must be PEM")]
    Empty(PathBuf),
    /// The platform trusts nobody, or does not say whom.
    #[error("found no certificate that this machine trusts{0}; name a file with some")]
    NoPlatform(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nts_is_off_or_required_and_another_word_is_refused_with_both() {
        for (text, nts) in [
            ("off", Nts::Off),
            ("required", Nts::Required(NtsRoots::Platform)),
            (" 'Required'\n", Nts::Required(NtsRoots::Platform)),
            ("\"OFF\"", Nts::Off),
        ] {
            assert_eq!(text.parse(), Ok(nts.clone()), "{text:?}");
            assert_eq!(nts.to_string().parse(), Ok(nts));
        }
        for text in ["", "on", "prefer", "true", "1", "requiredd", "\"required", "off required"] {
            let error = text.parse::<Nts>().expect_err(text);
            let said = format!("NTS must be \"off\" or \"required\", not {text:?}");
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn roots_go_with_nts_and_without_it_they_are_refused() {
        let file = || Some(PathBuf::from("ca.pem"));
        let ours = Nts::Required(NtsRoots::File("ca.pem".into()));
        assert_eq!(Nts::from_words("required", file()), Ok(ours));
        assert_eq!(Nts::from_words("required", None), Ok(Nts::Required(NtsRoots::Platform)));
        assert_eq!(Nts::from_words("off", None), Ok(Nts::Off));
        let error = Nts::from_words("off", file()).expect_err("no use for it");
        assert!(error.to_string().contains("\"ca.pem\""), "{error}");
        assert!(matches!(Nts::from_words("no", file()), Err(NtsError::Word(_))));
    }
}
