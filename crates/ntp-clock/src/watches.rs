//! What a clock looks at to notice that its machine was disturbed.

use crate::os::{Beat, HostPage, KernelClock, Life, Untold};

/// What was there to be looked at, the last time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Watches {
    rings: bool,
    monotonic: bool,
    processor: bool,
    kernel_clock: bool,
}

impl Watches {
    pub(crate) fn of(beat: &Beat, kernel: Option<KernelClock>, rings: bool) -> Self {
        Watches {
            rings,
            monotonic: beat.monotonic.is_some(),
            processor: beat.ticks.is_some(),
            kernel_clock: kernel.is_some(),
        }
    }

    /// Each in one word, for the status.
    pub(crate) fn names(self, host: Result<&HostPage, Untold>) -> Vec<&'static str> {
        let words = [
            ("vmclock", host.is_ok()),
            ("vmclock_bell", self.rings),
            ("monotonic", self.monotonic),
            ("processor", self.processor),
            ("kernel_clock", self.kernel_clock),
        ];
        words.into_iter().filter_map(|(word, used)| used.then_some(word)).collect()
    }
}

/// The host's page in one word, for the status.
pub(crate) fn host_name(host: Result<&HostPage, Untold>) -> &'static str {
    match host {
        Ok(page) if page.look() == Life::UNCLEAR => "unclear",
        Ok(_) => "watched",
        Err(untold) => untold.name(),
    }
}
