//! The clock that all of a program shares, as its environment chooses: in programs of their own.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ntp_clock::{Clock, ConfigError, EnvironmentError, Nts, NtsError, NtsRoots};

use crate::forks::goes_on_in_a_child;
use crate::support::NtsServer;

/// What a program with these variables tells of its shared clock.
fn report(variables: &[(&str, &OsStr)]) -> String {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", "--nocapture", SELF]).env(ASKED, "");
    for (name, value) in variables {
        command.env(format!("PORTACODE_NTP_{name}"), value);
    }
    let output = command.output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = text.lines().find_map(|line| line.split_once(REPORT));
    report.unwrap_or_else(|| panic!("{output:?}")).1.to_owned()
}

/// What the test below asks of itself as another program.
fn tell() {
    let clock = Clock::global();
    let fault = clock.environment_error().map(|error| error.to_string());
    let synced = fault.is_none() && clock.wait_synced(Duration::from_secs(30));
    let status = clock.status();
    let (server, nts) = (&status.server, status.nts.is_some());
    match (synced, status.last_error) {
        (true, _) => {
            assert!(!nts || goes_on_in_a_child(clock), "a child of it");
            println!("{REPORT}{server} {nts} {}", status.authenticated);
        }
        (false, Some(error)) => {
            let fault = fault.expect("the environment's");
            assert!(fault.ends_with(error.detail()) && clock.sync_now().is_err(), "{fault}");
            println!("{REPORT}{server} {}: {error}", error.code());
        }
        (false, None) => println!("{REPORT}nothing"),
    }
}

#[test]
fn the_shared_clock_requires_proof_where_its_environment_says_so_in_children_too() {
    if env::var_os(ASKED).is_some() {
        return tell();
    }
    let Some(server) = NtsServer::start() else { return };
    let at = format!("localhost:{}", server.keys_at.port());
    let (named, ours) = (OsStr::new(&at), server.authority.file().as_os_str());
    let required = OsStr::new(" Required\n");
    let quoted = format!("\"{}\"", server.authority.file().display());
    for roots in [ours, OsStr::new(&quoted)] {
        let variables = [("SERVER", named), ("NTS", required), ("NTS_CA", roots)];
        assert_eq!(report(&variables), format!("{at} true true"));
    }
    let time_at = server.peer.address().to_string();
    for off in [vec![], vec![("NTS", OsStr::new("off"))]] {
        let plain = [vec![("SERVER", OsStr::new(&time_at)), ("NTS_CA", ours)], off].concat();
        assert_eq!(report(&plain), format!("{time_at} false false"));
    }

    let word = report(&[("SERVER", named), ("NTS", OsStr::new("yes"))]);
    let both = "NTS must be \"off\" or \"required\", not \"yes\"";
    assert_eq!(word, format!("{at} no_nts: environment variable PORTACODE_NTP_NTS: {both}"));
    let folder = env::temp_dir().into_os_string();
    for (roots, why) in [
        (OsStr::new(""), "cannot read certificates from \"\": "),
        (OsStr::new("/nonexistent/roots.pem"), "\"/nonexistent/roots.pem\": No such file"),
        (&folder, "cannot read certificates"),
        (OsStr::new("/dev/null"), "found no certificate in \"/dev/null\""),
    ] {
        let refused = report(&[("SERVER", named), ("NTS", required), ("NTS_CA", roots)]);
        let start = format!("{at} no_nts: environment variable PORTACODE_NTP_NTS_CA: ");
        assert!(refused.starts_with(&start) && refused.contains(why), "{refused}");
    }
    let both = report(&[("SERVER", OsStr::new("a b")), ("NTS", required), ("NTS_CA", ours)]);
    assert!(both.starts_with("a b no_server: "), "{both}");
}

#[test]
fn a_clock_of_ones_own_is_refused_where_proof_cannot_be_had() {
    let roots = NtsRoots::File(PathBuf::from("/dev/null"));
    let refused = Clock::builder().nts(Nts::Required(roots)).build().expect_err("no roots");
    let expected = NtsError::Empty("/dev/null".into());
    assert_eq!(refused, ConfigError::Nts(expected.clone()));
    let text = EnvironmentError::Nts(expected).to_string();
    assert!(
        text.starts_with("environment variable PORTACODE_NTP_NTS_CA: found no certificate"),
        "{text}"
    );
}

const SELF: &str = "environment::\
    the_shared_clock_requires_proof_where_its_environment_says_so_in_children_too";
const ASKED: &str = "NTP_CLOCK_TEST_SHARED";
const REPORT: &str = "shared: ";
