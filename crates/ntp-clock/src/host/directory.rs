//! The directory in which processes of a machine find the page that they share, and names in it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use super::page::{Identity, LAYOUT};
use super::sharing::Sharing;

/// A directory that only we, or those whom the program names, can write to.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    trusted: Trusted,
}

/// Whose pages are believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trusted {
    /// Our own user.
    user: u32,
    /// The user whom the operator chose, if the program names one.
    operator: Option<u32>,
}

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{}: {source}", path.display())]
    System { path: PathBuf, source: io::Error },
    #[error("{} is not a directory", .0.display())]
    NoDirectory(PathBuf),
    #[error("{} belongs to user {owner}; it has to be ours (user {user}), root's or the operator's", path.display())]
    Owner { path: PathBuf, owner: u32, user: u32 },
    #[error("{} can be written by {whom} (mode {mode:04o}); it has to be mode 0700", path.display())]
    Open { path: PathBuf, mode: u32, whom: &'static str },
    #[error("{} is too long a name for a socket", .0.display())]
    TooLong(PathBuf),
}

/// What processes that can share a clock have in common, as a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u64);

impl Trusted {
    pub(crate) fn with_operator(operator: Option<u32>) -> Self {
        Trusted { user: geteuid().as_raw(), operator }
    }

    /// Whether pages and directories of this user are believed.
    pub(crate) fn includes(self, user: u32) -> bool {
        user == self.user || user == ROOT || Some(user) == self.operator
    }

    /// Whether this is our own user, who could as well change our memory.
    pub(crate) fn is_ours(self, user: u32) -> bool {
        user == self.user
    }
}

impl Directory {
    /// The directory that the program names, or the first that can be had of those that are the
    /// system's custom.
    ///
    /// # Errors
    /// [`Refused`] where it cannot be used; of several the first one's.
    pub(crate) fn find(sharing: &Sharing) -> Result<Self, Refused> {
        let trusted = Trusted::with_operator(sharing.trusted_operator());
        if let Some(path) = sharing.directory() {
            return Directory::at(path, trusted, true);
        }
        let mut first = None;
        for path in customary(trusted.user) {
            match Directory::at(&path, trusted, false) {
                Ok(directory) => return Ok(directory),
                Err(refused) => first = first.or(Some(refused)),
            }
        }
        let nowhere = || Refused::NoDirectory(PathBuf::from("/tmp"));
        Err(first.unwrap_or_else(nowhere))
    }

    /// One at this place; it is made if it does not exist.
    fn at(path: &Path, trusted: Trusted, named: bool) -> Result<Self, Refused> {
        let system = |source| Refused::System { path: path.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(system(error));
            }
            _ => {}
        }
        // Of the name itself: a link that somebody else put there is no directory.
        let found = fs::symlink_metadata(path).map_err(system)?;
        check(path, &found, trusted, named)?;
        if path.as_os_str().len() + DRAFT_LENGTH > SOCKET_PATH_MAX {
            return Err(Refused::TooLong(path.to_owned()));
        }
        Ok(Directory { path: path.to_owned(), trusted })
    }

    pub(crate) fn trusted(&self) -> Trusted {
        self.trusted
    }

    /// The newest generation of this key that has a name.
    pub(crate) fn newest(&self, key: Key) -> io::Result<Option<u64>> {
        Ok(self.generations(key)?.into_iter().max())
    }

    /// The name of a generation's socket.
    pub(crate) fn name(&self, key: Key, generation: u64) -> PathBuf {
        self.path.join(format!("{key}.{generation}"))
    }

    /// A name for a socket that is not final yet: of this process alone.
    pub(crate) fn draft(&self, key: Key) -> PathBuf {
        let random = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        self.path.join(format!("{key}.{random:016x}.{DRAFT}"))
    }

    /// Gives a socket its final name, unless another process has that already. The process that
    /// succeeds is the writer of this generation.
    pub(crate) fn claim(&self, draft: &Path, key: Key, generation: u64) -> io::Result<bool> {
        let name = self.name(key, generation);
        // A rename that replaces nothing would do it in one step, but not every libc has one.
        match fs::hard_link(draft, name) {
            Ok(()) => fs::remove_file(draft).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the names of generations before this one, and drafts of processes that died.
    pub(crate) fn remove_before(&self, key: Key, generation: u64) {
        for old in self.generations(key).unwrap_or_default() {
            if old < generation {
                // Another process may have removed it.
                let _ = fs::remove_file(self.name(key, old));
            }
        }
        for draft in self.names(key).unwrap_or_default() {
            let age = fs::symlink_metadata(&draft).and_then(|found| found.modified());
            let age = age.ok().and_then(|made| made.elapsed().ok());
            if draft.extension() == Some(OsStr::new(DRAFT)) && age > Some(DRAFT_AGE) {
                let _ = fs::remove_file(draft);
            }
        }
    }

    fn generations(&self, key: Key) -> io::Result<Vec<u64>> {
        let number = |name: PathBuf| name.extension()?.to_str()?.parse::<u64>().ok();
        let generations = self.names(key)?.into_iter().filter_map(number);
        Ok(generations.filter(|generation| *generation < GENERATION_MAX).collect())
    }

    /// All names of this key.
    fn names(&self, key: Key) -> io::Result<Vec<PathBuf>> {
        let prefix = format!("{key}.");
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(&prefix)) {
                found.push(self.path.join(name));
            }
        }
        Ok(found)
    }
}

impl Key {
    /// The key of all clocks of this identity.
    pub(crate) fn of(identity: &Identity) -> Self {
        let Identity { counter, boot, time_namespace, server, proof, machine } = *identity;
        let parts = [
            u64::from(LAYOUT),
            counter as u64,
            boot[0],
            boot[1],
            time_namespace,
            server,
            proof,
            machine,
        ];
        let hash = parts
            .iter()
            .fold(crate::counter_id::Hash::default(), |hash, part| hash.with(&part.to_le_bytes()));
        Key(hash.mixed())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where programs of one user keep what lives as long as the boot.
fn customary(user: u32) -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute()).map(|path| path.join("ntp-clock"));
    let own = format!("ntp-clock-{user}");
    let ours = ["/dev/shm", "/tmp"].map(|place| Path::new(place).join(&own));
    runtime.into_iter().chain(ours).collect()
}

/// Whether nobody can put anything there whom we do not trust.
fn check(path: &Path, found: &Metadata, trusted: Trusted, named: bool) -> Result<(), Refused> {
    if !found.is_dir() {
        return Err(Refused::NoDirectory(path.to_owned()));
    }
    let owner = found.uid();
    if !trusted.includes(owner) {
        return Err(Refused::Owner { path: path.to_owned(), owner, user: trusted.user });
    }
    let mode = found.mode() & 0o7777;
    let open = |whom| Err(Refused::Open { path: path.to_owned(), mode, whom });
    if mode & 0o002 != 0 {
        return open("everybody");
    }
    // A group that an operator chose; else there is nobody but us.
    if mode & 0o020 != 0 && !named {
        return open("its group");
    }
    Ok(())
}

const ROOT: u32 = 0;
/// What ends the name of a socket that is not final yet.
const DRAFT: &str = "new";
/// With a slash, a key, a point, a random number, another point.
const DRAFT_LENGTH: usize = 1 + 16 + 1 + 16 + 1 + DRAFT.len();
const DRAFT_AGE: Duration = Duration::from_secs(60);
/// More than there can be: names with larger numbers are nobody's.
const GENERATION_MAX: u64 = 1 << 53;
/// Linux has 108 bytes for a socket's name, the last one zero.
const SOCKET_PATH_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::page::CounterKind;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    fn identity(server: u64) -> Identity {
        Identity {
            counter: CounterKind::MonotonicRaw,
            boot: [1, 2],
            time_namespace: 3,
            server,
            proof: 0,
            machine: 0,
        }
    }

    fn find_at(path: &Path) -> Result<Directory, Refused> {
        Directory::find(&Sharing::in_directory(path))
    }

    /// A folder of a test's own.
    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ntp-clock-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn clocks_that_differ_in_anything_have_other_names() {
        let ours = identity(1);
        let others = [
            Identity { boot: [2, 2], ..ours },
            Identity { boot: [1, 3], ..ours },
            Identity { time_namespace: 4, ..ours },
            Identity { server: 2, ..ours },
            Identity { proof: 1, ..ours },
            Identity { machine: 1, ..ours },
            Identity { proof: ours.machine, machine: 5, ..ours },
        ];
        let keys = others.iter().chain([&ours]).map(|identity| Key::of(identity).to_string());
        assert_eq!(keys.collect::<std::collections::BTreeSet<_>>().len(), others.len() + 1);
    }

    #[test]
    fn a_directory_is_made_for_us_alone() {
        let path = scratch("made").join("clock");
        let directory = find_at(&path).unwrap();
        assert_eq!(fs::metadata(&directory.path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_a_file_and_what_others_can_write_are_refused_with_the_reason() {
        let path = scratch("refused");
        let find = |name: &str| find_at(&path.join(name));
        symlink("/tmp", path.join("link")).unwrap();
        assert!(matches!(find("link"), Err(Refused::NoDirectory(_))));
        fs::write(path.join("file"), "").unwrap();
        assert!(matches!(find("file"), Err(Refused::NoDirectory(_))));
        fs::create_dir(path.join("open")).unwrap();
        fs::set_permissions(path.join("open"), PermissionsExt::from_mode(0o777)).unwrap();
        let refused = find("open").unwrap_err().to_string();
        assert!(refused.contains("can be written by everybody (mode 0777)"), "{refused}");
        let long = "x".repeat(90);
        assert!(matches!(find(&long), Err(Refused::TooLong(_))));
        assert!(matches!(find("no/such"), Err(Refused::System { .. })));
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        if !geteuid().is_root() {
            return; // Only root can give it away.
        }
        let path = scratch("theirs");
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        assert!(matches!(find_at(&path), Err(Refused::Owner { owner: 12_345, .. })));
        assert!(Directory::find(&Sharing::in_directory(&path).operator(12_345)).is_ok());
    }

    #[test]
    fn of_several_who_claim_a_generation_one_has_it_and_names_of_other_keys_do_not_count() {
        let directory = find_at(&scratch("claim")).unwrap();
        let (ours, other) = (Key::of(&identity(1)), Key::of(&identity(2)));
        assert_ne!(ours, other);
        assert_eq!(directory.newest(ours).unwrap(), None);
        let claim = |key, generation| {
            let draft = directory.draft(key);
            let _socket = UnixListener::bind(&draft).unwrap();
            directory.claim(&draft, key, generation).unwrap()
        };
        assert!(claim(ours, 1) && !claim(ours, 1));
        assert!(claim(other, 9) && claim(ours, 2));
        assert_eq!(directory.newest(ours).unwrap(), Some(2), "drafts do not count either");
        directory.remove_before(ours, 2);
        assert!(!directory.name(ours, 1).exists() && directory.name(other, 9).exists());
    }
}
