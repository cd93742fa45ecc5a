//! A clock of tests: true time is the SDK's plus an hour, from a second before it was made on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use ntp_clock_history::{Dated, Traced};

use crate::times::{Times, unix_ns};

pub(crate) const HOUR_NS: i64 = 3_600_000_000_000;

#[derive(Debug)]
pub(crate) struct Fake {
    synchronised: AtomicBool,
    since_ns: i64,
    off_ns: AtomicI64,
}

impl Fake {
    pub(crate) fn new(synchronised: bool) -> Arc<Self> {
        let since_ns = unix_ns(SystemTime::now()).expect("before 2262") - 1_000_000_000;
        let (synchronised, off_ns) = (AtomicBool::new(synchronised), AtomicI64::new(HOUR_NS));
        Arc::new(Fake { synchronised, since_ns, off_ns })
    }

    /// From now on other times are true.
    #[cfg(feature = "metrics")]
    pub(crate) fn correct(&self, by_ns: i64) {
        self.off_ns.fetch_add(by_ns, Ordering::SeqCst);
    }

    pub(crate) fn synchronise(&self) {
        self.synchronised.store(true, Ordering::SeqCst);
    }
}

impl Times for Fake {
    fn look_now(&self) {}

    fn look(&self) -> i64 {
        unix_ns(SystemTime::now()).expect("before 2262") / 1_000_000
    }

    fn stepped_after(&self, _: &dyn Fn(i64) -> bool) -> bool {
        false
    }

    fn synchronised(&self) -> bool {
        self.synchronised.load(Ordering::SeqCst)
    }

    fn date(&self, system_ns: i64) -> Option<Dated> {
        let known = self.synchronised() && system_ns >= self.since_ns;
        let time_ns = system_ns + self.off_ns.load(Ordering::SeqCst);
        known.then_some(Dated { time_ns, max_error_ns: 1_000, est_error_ns: 10, epoch: 3 })
    }

    fn date_after(&self, system_ns: i64, _: i64) -> Option<Dated> {
        self.date(system_ns)
    }

    fn trace(&self, _: i64) -> Option<Traced> {
        None
    }

    fn server(&self) -> Arc<str> {
        "time.test".into()
    }
}

pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
