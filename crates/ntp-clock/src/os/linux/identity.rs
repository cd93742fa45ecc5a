//! What tells the counters of two boots apart, and those of two containers.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// What the kernel calls this boot; `None` where it does not say.
pub(crate) fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The namespace that may shift this process' monotonic clocks, and by how much: a name is given
/// again once its namespace is gone. Empty before Linux 5.6, which has none, and `None` where that
/// cannot be known.
pub(crate) fn time_namespace() -> Option<String> {
    let links = Path::new("/proc/self/ns");
    match fs::read_link(links.join("time")) {
        Ok(name) => {
            let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
            Some(format!("{} {offsets}", name.to_string_lossy()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => links.exists().then(String::new),
        Err(_) => None,
    }
}
