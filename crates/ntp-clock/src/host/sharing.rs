//! How a program shares a clock with others of its machine, as people choose it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// That a clock is shared by the processes of a machine, and how they find one another.
///
/// By default those of one user share it, by a directory that the user has for itself.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ntp_clock::{Clock, Sharing};
/// let clock = Clock::builder().shared(Sharing::of_user()).build()?;
/// println!("{:?}", clock.status().sharing); // who synchronises
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Sharing {
    directory: Option<PathBuf>,
    operator: Option<u32>,
    only_reads: bool,
}

impl Sharing {
    /// Processes of one user find one another in `$XDG_RUNTIME_DIR/ntp-clock`, else in
    /// `/dev/shm/ntp-clock-UID`, else in `/tmp/ntp-clock-UID`, which are made where they do not
    /// exist.
    #[must_use]
    pub fn of_user() -> Self {
        Sharing::default()
    }

    /// Processes find one another in this directory: of several containers where they have it in
    /// common, of several users where an operator gave it to a group of theirs.
    ///
    /// It is made where it does not exist. It has to belong to this user, to root or to the
    /// [operator](Sharing::operator), and not everybody may write to it.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Sharing { directory: Some(directory.into()), ..Sharing::default() }
    }

    /// Pages of the user with this id are believed, besides those of this user and of root.
    #[must_use]
    pub fn operator(self, user: u32) -> Self {
        Sharing { operator: Some(user), ..self }
    }

    /// This process never asks a server: it reads what another one synchronises, and has no time
    /// where there is none.
    #[must_use]
    pub fn only_read(self) -> Self {
        Sharing { only_reads: true, ..self }
    }

    /// What the environment variable says: nothing to share, or how.
    pub(crate) fn from_word(word: &OsStr) -> Result<Option<Self>, BadWord> {
        match word.to_str().map(str::trim) {
            Some("" | "0") => Ok(None),
            Some("1") => Ok(Some(Sharing::of_user())),
            _ if Path::new(word).is_absolute() => Ok(Some(Sharing::in_directory(word))),
            _ => Err(BadWord(word.to_string_lossy().into_owned())),
        }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn trusted_operator(&self) -> Option<u32> {
        self.operator
    }

    pub(crate) fn reads_only(&self) -> bool {
        self.only_reads
    }
}

/// A word that does not say how to share.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} does not say how to share a clock: write 1, 0, or the absolute path of a directory")]
pub(crate) struct BadWord(String);

/// What a clock that is to be shared does at this moment.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SharingStatus {
    /// This process's part.
    pub part: SharedPart,
    /// Process id of who synchronises the machine's clock, by that process's own numbering (in a
    /// container it may have another number); `None` while nobody is known to.
    pub writer: Option<u32>,
    /// How many pages of this clock the machine has had, with the one that is read.
    pub generation: Option<u64>,
    /// Why the clock is not shared (yet), in words; `None` where it is.
    pub reason: Option<String>,
}

/// The parts of a process in a clock that is to be shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SharedPart {
    /// It looks for the machine's clock.
    Joining,
    /// It synchronises the machine's clock; others read what it writes.
    Writer,
    /// It only reads what another process writes.
    Reader,
    /// It keeps a clock of its own, because sharing is not possible.
    Alone,
}

impl SharedPart {
    /// The part in one word that stays the same from version to version.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SharedPart::Joining => "joining",
            SharedPart::Writer => "writer",
            SharedPart::Reader => "reader",
            SharedPart::Alone => "alone",
        }
    }
}

impl SharingStatus {
    pub(crate) fn joining(reason: Option<String>) -> Self {
        SharingStatus { part: SharedPart::Joining, writer: None, generation: None, reason }
    }

    pub(crate) fn alone(reason: String) -> Self {
        SharingStatus { part: SharedPart::Alone, reason: Some(reason), ..Self::joining(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_says_yes_no_or_where_and_anything_else_is_named() {
        let said = |word: &str| Sharing::from_word(OsStr::new(word));
        assert_eq!((said(""), said("0"), said(" ")), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(said("1"), Ok(Some(Sharing::of_user())));
        if cfg!(unix) {
            assert_eq!(said("/run/clock"), Ok(Some(Sharing::in_directory("/run/clock"))));
        }
        let error = said("yes").unwrap_err().to_string();
        assert!(error.starts_with("\"yes\" does not say how to share a clock"), "{error}");
    }
}
