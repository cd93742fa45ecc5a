//! The real servers: Debian's chrony and, in a network of its own, Debian's ntpsec.

use std::env;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{Chrony, eventually, tells_time};
use crate::support::free_tcp_address;

/// A server of time and keys with a certificate of ours, on the loopback interface.
pub(crate) enum Peer {
    Chrony(Chrony),
    Ntpsec(Ntpsec),
}

impl Peer {
    /// Where the next one can give keys.
    pub(crate) fn keys_at() -> SocketAddr {
        if is_ntpsec() { ([127, 0, 0, 1], NTPSEC_KEYS_PORT).into() } else { free_tcp_address() }
    }

    /// With this certificate and key, PEM, and more lines of configuration. `None`, said aloud,
    /// where it is not installed.
    pub(crate) fn start(
        keys_at: SocketAddr,
        certified: &(String, String),
        more: &str,
    ) -> Option<Self> {
        if is_ntpsec() {
            return Some(Peer::Ntpsec(Ntpsec::start(certified, more)));
        }
        let chrony = Chrony::start_with(|folder| {
            let (certificate, key) = files(folder, certified);
            let port = keys_at.port();
            let files = format!("ntsservercert {certificate}\nntsserverkey {key}");
            format!("ntsport {port}\n{files}\n{more}\n")
        })?;
        Some(Peer::Chrony(chrony))
    }

    /// The configuration's line by which it names another host for time, if it can.
    pub(crate) fn naming(host: &str) -> String {
        if is_ntpsec() { String::new() } else { format!("ntsntpserver {host}") }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Peer::Chrony(chrony) => chrony.address(),
            Peer::Ntpsec(_) => NTPSEC_AT.into(),
        }
    }

    /// Ends it and starts it again; it has forgotten the keys of its cookies.
    pub(crate) fn restart(&mut self) {
        match self {
            Peer::Chrony(chrony) => chrony.restart(),
            Peer::Ntpsec(ntpsec) => ntpsec.restart(),
        }
    }

    /// Whether it says so where it cannot read a cookie (NTS-NAK). ntpsec 1.2.2 is silent.
    pub(crate) const fn answers_by_nak(&self) -> bool {
        matches!(self, Peer::Chrony(_))
    }
}

/// Debian's ntpsec as the one server of a network of its own: its ports are fixed. It has the time
/// as an orphan has it, by itself, and no right to touch this machine's clock, which it does not
/// have even as root in a namespace of users.
pub(crate) struct Ntpsec {
    child: Child,
    command: Command,
    folder: PathBuf,
}

impl Ntpsec {
    fn start(certified: &(String, String), more: &str) -> Self {
        let folder = env::temp_dir().join(format!("ntp-clock-ntpsec-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let (certificate, key) = files(&folder, certified);
        let conf = folder.join("ntp.conf");
        let text = format!(
            "nts enable\nnts cert {certificate}\nnts key {key}\nnts cookie {0}/cookies\n\
             driftfile {0}/drift\ndisable kernel ntp\ntos orphan 1 orphanwait 1\n\
             interface ignore wildcard\nlimit average 1000000 burst 1000000\n{more}\n",
            folder.display()
        );
        std::fs::write(&conf, text).expect("configuration");
        let mut command = Command::new(ntpd().expect("looked for before"));
        command.args(["-n", "-c"]).arg(&conf).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ntpd starts");
        let ntpsec = Ntpsec { child, command, folder };
        eventually("ntpd answers", Duration::from_secs(60), || tells_time(NTPSEC_AT.into()));
        ntpsec
    }

    fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::fs::remove_file(self.folder.join("cookies")).expect("kept there");
        self.child = self.command.spawn().expect("ntpd starts");
        eventually("ntpd answers", Duration::from_secs(60), || tells_time(NTPSEC_AT.into()));
    }
}

impl Drop for Ntpsec {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where certificate and key were written to.
fn files(folder: &Path, (certificate, key): &(String, String)) -> (String, String) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("temporary folder");
        path.display().to_string()
    };
    (write("certificate.pem", certificate), write("key.pem", key))
}

/// What holds against chrony holds against ntpsec: each of these tests is run by itself again, in a
/// network in which there is nobody but ntpsec.
pub(crate) fn run_against_ntpsec(tests: &[&str]) {
    let skipped = |why: &str| {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    };
    if ntpd().is_none() {
        return skipped("ntpsec's ntpd is missing: CONTRIBUTING.md says how to get it");
    }
    let network = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", "ip link set lo up && exec \"$@\""]);
        command.arg("sh");
        command
    };
    if !network().arg("true").output().is_ok_and(|output| output.status.success()) {
        return skipped("unshare(1) and ip(8) may not make a network here");
    }
    let running = tests.iter().map(|test| {
        let mut command = network();
        command.arg(env::current_exe().expect("this program")).args(["--exact", "--nocapture"]);
        command.arg(test).env(PEER, NTPSEC).stdout(Stdio::piped()).stderr(Stdio::piped());
        (test, command.spawn().expect("it starts"))
    });
    // All of them end before one fails.
    let ended = running.collect::<Vec<_>>().into_iter().map(|(test, child)| {
        let output = child.wait_with_output().expect("it runs");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let passed = output.status.success() && text(&output.stdout).contains("1 passed");
        (!passed).then(|| format!("{test}: {}{}", text(&output.stdout), text(&output.stderr)))
    });
    let failed: Vec<_> = ended.collect::<Vec<_>>().into_iter().flatten().collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// This is a test that `run_against_ntpsec` runs.
fn is_ntpsec() -> bool {
    env::var(PEER).is_ok_and(|peer| peer == NTPSEC)
}

/// ntpsec's server, where there is one: unpacked in this checkout, for its package and chrony's
/// exclude each other, or of the system.
fn ntpd() -> Option<PathBuf> {
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.work/ntpsec/usr/sbin/ntpd");
    let is_ntpsecs = |path: &&str| {
        let version = Command::new(path).arg("--version").output();
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(NTPSEC))
    };
    [unpacked, "/usr/sbin/ntpd"].into_iter().find(is_ntpsecs).map(PathBuf::from)
}

const NTPSEC: &str = "ntpsec";
const NTPSEC_AT: ([u8; 4], u16) = ([127, 0, 0, 1], 123);
const NTPSEC_KEYS_PORT: u16 = 4_460;
const PEER: &str = "NTP_CLOCK_TEST_PEER";
