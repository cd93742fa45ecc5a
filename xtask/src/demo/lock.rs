//! One demo at a time: a second would reinstall the first one's programs and use its data.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Held as long as the demo runs. The system lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it in the demo's folder; fails where another process has it.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let cannot = || format!("cannot lock {}", path.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).with_context(cannot)?;
                let holder = holder.trim();
                // It may have the lock, and not have written yet.
                let who = if holder.is_empty() { "" } else { &format!(" (process {holder})") };
                bail!("a demo is already running{who}: end it by Ctrl-C");
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        file.set_len(0).with_context(cannot)?;
        writeln!(file, "{}", std::process::id()).with_context(cannot)?;
        Ok(Lock { _file: file })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::{Command, Stdio};
    use std::{env, thread, time};

    use super::*;

    #[test]
    fn a_second_demo_learns_of_the_first_until_that_ends() {
        let folder = env::temp_dir().join(format!("xtask-lock-{}", std::process::id()));
        let first = Lock::take(&folder).unwrap();
        let refusal = Lock::take(&folder).unwrap_err().to_string();
        let process = std::process::id();
        let expected = format!("a demo is already running (process {process}): end it by Ctrl-C");
        assert_eq!(refusal, expected);
        drop(first);
        drop(Lock::take(&folder).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_lock_goes_with_a_process_that_is_killed() {
        let name = "demo::lock::tests::a_lock_goes_with_a_process_that_is_killed";
        if let Some(folder) = env::var_os("XTASK_LOCK_FOLDER") {
            // The process that is killed, by the test of the same name.
            let _lock = Lock::take(Path::new(&folder)).unwrap();
            thread::sleep(time::Duration::from_secs(60));
            return;
        }
        let folder = env::temp_dir().join(format!("xtask-killed-{}", std::process::id()));
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", name]).env("XTASK_LOCK_FOLDER", &folder);
        let mut holder = command.stdout(Stdio::null()).spawn().unwrap();
        let process = holder.id().to_string();
        let has_it =
            || fs::read_to_string(folder.join("lock")).is_ok_and(|text| text.trim() == process);
        while !has_it() {
            assert!(holder.try_wait().unwrap().is_none(), "it ended by itself");
            thread::sleep(time::Duration::from_millis(10));
        }
        let refusal = Lock::take(&folder).unwrap_err().to_string();
        assert!(refusal.contains(&format!("(process {process})")), "{refusal}");
        holder.kill().unwrap();
        holder.wait().unwrap();
        drop(Lock::take(&folder).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
