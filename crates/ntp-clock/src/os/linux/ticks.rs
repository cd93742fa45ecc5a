//! The processor's own counter, read without the kernel: the TSC, or ARM's CNTVCT_EL0.
//!
//! It is used where the kernel makes its own clocks of it: then the kernel has found it to be one
//! for all processors, of one rate, and never to stop while the machine runs, and goes on checking.
//!
//! Its rate is needed at once, and every process of a boot must take the same one, or their
//! moments could not be compared. It need not be right to the last digit: what it is off by is a
//! part of the counter's frequency, which the clock learns. ARM has a register for it. On x86-64
//! the kernel shows to everybody what it found in one number, BogoMIPS, good to 5 kHz.

#![allow(unsafe_code)]

use std::fs;
use std::num::NonZeroU64;

use ntp_clock_core::{LocalTime, Span};

use super::super::common::Distrust;
use super::clocks::local_now;

/// The processor's counter and how long one of its ticks takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticks {
    /// Nanoseconds a tick in units of 2^-[`SHIFT`].
    scale: NonZeroU64,
}

impl Ticks {
    /// The counter of this machine, or why it is not to be used.
    pub(crate) fn find() -> Result<Self, Distrust> {
        if !processor::COUNTS || !processor::is_constant() {
            return Err(Distrust::Unsuitable);
        }
        if let Some(why) = distrust() {
            return Err(why);
        }
        let ticks = processor::hertz().and_then(Ticks::at).ok_or(Distrust::RateUnknown)?;
        if ticks.runs_as_it_should() { Ok(ticks) } else { Err(Distrust::RateUnknown) }
    }

    /// The counter of this many ticks a second.
    fn at(hertz: u64) -> Option<Self> {
        if !(HERTZ_MIN..=HERTZ_MAX).contains(&hertz) {
            return None;
        }
        let scale = (1_000_000_000_u128 << SHIFT) / u128::from(hertz);
        let scale = u64::try_from(scale).ok().and_then(NonZeroU64::new)?;
        Some(Ticks { scale })
    }

    /// What [`Ticks::scale`] gave.
    #[inline]
    pub(crate) fn of_scale(scale: u64) -> Option<Self> {
        Some(Ticks { scale: NonZeroU64::new(scale)? })
    }

    /// Nanoseconds a tick, as a number to keep; never zero.
    pub(crate) fn scale(self) -> u64 {
        self.scale.get()
    }

    /// The counter now, in nanoseconds. Read after all loads that come before it.
    #[inline]
    pub(crate) fn now(self) -> LocalTime {
        self.moment(processor::ordered())
    }

    #[inline]
    fn moment(self, ticks: u64) -> LocalTime {
        let nanos = (u128::from(ticks) * u128::from(self.scale.get())) >> SHIFT;
        LocalTime::from_nanos(nanos as i64)
    }

    /// Whether it runs as fast as the kernel's counter, as far as a moment shows that.
    fn runs_as_it_should(self) -> bool {
        let pair = || {
            let looks = (0..LOOKS).map(|_| {
                let before = self.now();
                let kernel = local_now();
                (self.now() - before, before, kernel)
            });
            looks.min_by_key(|(width, ..)| *width)
        };
        let Some((first_width, began, kernel_began)) = pair() else { return false };
        while local_now() - kernel_began < TRIAL {
            std::hint::spin_loop();
        }
        let Some((last_width, ended, kernel_ended)) = pair() else { return false };
        let (took, kernel_took) = (ended - began, kernel_ended - kernel_began);
        let allowed = Span::from_nanos(kernel_took.as_nanos() / RATE_DIVISOR);
        (took - kernel_took).abs() <= allowed + first_width + last_width
    }
}

/// Name of the counter, for the status.
pub(crate) const TICKS_NAME: &str = processor::NAME;

/// Why the counter is not to be trusted now, if so: what can change while a program runs.
pub(crate) fn distrust() -> Option<Distrust> {
    if !is_allowed() {
        return Some(Distrust::Forbidden);
    }
    let source = fs::read_to_string(CURRENT_SOURCE).unwrap_or_default();
    (source.trim() != processor::CLOCK_SOURCE).then_some(Distrust::ClockSource)
}

/// Whether the kernel has the counter among those that it may use: it takes away one that does not
/// pass its checks.
pub(super) fn is_available() -> bool {
    let sources = fs::read_to_string(AVAILABLE_SOURCES).unwrap_or_default();
    is_allowed()
        && processor::is_constant()
        && sources.split_whitespace().any(|name| name == processor::CLOCK_SOURCE)
}

/// The counter as it is.
pub(super) fn count() -> u64 {
    processor::ordered()
}

#[cfg(target_arch = "x86_64")]
fn is_allowed() -> bool {
    let mut allowed: libc::c_int = 0;
    // SAFETY: the pointer is to a number of ours, which the kernel fills.
    let asked = unsafe { libc::prctl(libc::PR_GET_TSC, &raw mut allowed) };
    asked == 0 && allowed == libc::PR_TSC_ENABLE
}

#[cfg(not(target_arch = "x86_64"))]
fn is_allowed() -> bool {
    true
}

#[cfg(target_arch = "x86_64")]
mod processor {
    use std::arch::x86_64::{__cpuid, __rdtscp};
    use std::fs::File;
    use std::io::Read;

    pub(super) const NAME: &str = "TSC";
    pub(super) const CLOCK_SOURCE: &str = "tsc";
    pub(super) const COUNTS: bool = true;

    /// Loads that come before have been done when the counter is read, as in the kernel's own way
    /// of reading it.
    #[inline]
    pub(super) fn ordered() -> u64 {
        let mut processor = 0;
        // SAFETY: the processor has the instruction, see `is_constant`. A thread that may not use
        // it cannot read the kernel's clocks without a system call either.
        unsafe { __rdtscp(&raw mut processor) }
    }

    /// Whether it has one rate and goes on in every state of the processor, and can be read in
    /// order.
    pub(super) fn is_constant() -> bool {
        let highest = __cpuid(0x8000_0000).eax;
        let has = |leaf: u32, bit: u32| highest >= leaf && __cpuid(leaf).edx & (1 << bit) != 0;
        has(0x8000_0007, 8) && has(0x8000_0001, 27)
    }

    pub(super) fn hertz() -> Option<u64> {
        let mut text = String::new();
        // The first processor's lines are enough.
        let file = File::open("/proc/cpuinfo").ok()?;
        file.take(16_384).read_to_string(&mut text).ok()?;
        super::hertz_of(&text)
    }
}

#[cfg(target_arch = "aarch64")]
mod processor {
    use std::arch::asm;

    pub(super) const NAME: &str = "CNTVCT_EL0";
    pub(super) const CLOCK_SOURCE: &str = "arch_sys_counter";
    pub(super) const COUNTS: bool = true;

    /// What comes before has been done when the counter is read, as in the kernel's own way of
    /// reading it.
    #[inline]
    pub(super) fn ordered() -> u64 {
        let count: u64;
        // SAFETY: the register may be read by programs; where it may not, the kernel answers in
        // its place. Nothing is written.
        unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) count, options(nostack)) };
        count
    }

    /// The architecture says that it is one for all processors, and of one rate.
    pub(super) fn is_constant() -> bool {
        true
    }

    pub(super) fn hertz() -> Option<u64> {
        let hertz: u64;
        // SAFETY: as above.
        unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack)) };
        Some(hertz)
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod processor {
    pub(super) const NAME: &str = "none";
    pub(super) const CLOCK_SOURCE: &str = "none";
    pub(super) const COUNTS: bool = false;

    pub(super) fn ordered() -> u64 {
        0
    }

    pub(super) fn is_constant() -> bool {
        false
    }

    pub(super) fn hertz() -> Option<u64> {
        None
    }
}

/// Ticks a second by the text of `/proc/cpuinfo`: two loops a tick, says BogoMIPS.
#[cfg(any(target_arch = "x86_64", test))]
fn hertz_of(cpuinfo: &str) -> Option<u64> {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "bogomips").then(|| value.trim().to_owned())
    };
    let text = cpuinfo.lines().find_map(value)?;
    let (whole, hundredths) = text.split_once('.')?;
    let of_two_digits = hundredths.len() == 2;
    let hundredths: u64 = hundredths.parse().ok().filter(|_| of_two_digits)?;
    let hundredths = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
    hundredths.checked_mul(5_000)
}

const CURRENT_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const AVAILABLE_SOURCES: &str =
    "/sys/devices/system/clocksource/clocksource0/available_clocksource";
const SHIFT: u32 = 56;
const HERTZ_MIN: u64 = 10_000_000;
const HERTZ_MAX: u64 = 100_000_000_000;
/// What the rate may be off by at the start: One part in this many is 250 ppm, half of what the clock
/// allows to a counter.
const RATE_DIVISOR: i64 = 4_000;
/// Long enough to show that, with looks of some 30 ns.
const TRIAL: Span = Span::from_micros(300);
const LOOKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_of_what_the_kernel_shows_to_everybody() {
        let info = "processor\t: 0\nflags\t\t: fpu tsc\nbogomips\t: 5192.26\nTLB size\t: 3584\n";
        assert_eq!(hertz_of(info), Some(2_596_130_000));
        for text in ["", "bogomips", "bogomips:", "bogomips: 5", "bogomips: 5.1", "bogomips: x.26"]
        {
            assert_eq!(hertz_of(text), None, "{text:?}");
        }
        assert_eq!(hertz_of("bogomips\t: 99999999999999999999.00\n"), None);
        assert_eq!(hertz_of("bogomips\t: 999999999999999999.00\n"), None);
    }

    #[test]
    fn ticks_become_nanoseconds_and_later_ones_are_never_earlier() {
        for hertz in [10_000_000, 24_000_000, 1_000_000_000, 2_596_130_000, 5_000_000_000] {
            let ticks = Ticks::at(hertz).unwrap();
            assert_eq!(Ticks::of_scale(ticks.scale()), Some(ticks));
            for days in [0, 1, 365, 36_500] {
                let (seconds, begun) = (days * 86_400, days * 86_400 * hertz);
                let off = ticks.moment(begun).as_nanos() - seconds as i64 * 1_000_000_000;
                let most = (begun >> 56) as i64 + 1;
                assert!((-most..=0).contains(&off), "{hertz} Hz, {days} days: {off} ns off");
                let all: Vec<_> = (0..1_000).map(|tick| ticks.moment(begun + tick)).collect();
                assert!(all.is_sorted(), "{hertz} Hz");
            }
        }
        for hertz in [0, 9_999_999, 100_000_000_001, u64::MAX] {
            assert_eq!(Ticks::at(hertz), None);
        }
        assert_eq!(Ticks::of_scale(0), None);
    }

    #[test]
    fn a_rate_that_is_wrong_is_noticed_before_anybody_reads_by_it() {
        let Ok(ticks) = Ticks::find() else { return };
        let hertz = ((1_000_000_000_u128 << SHIFT) / u128::from(ticks.scale())) as u64;
        for wrong in [hertz / 2, hertz - hertz / 100, hertz + hertz / 100, hertz * 2] {
            assert!(
                !Ticks::at(wrong).unwrap().runs_as_it_should(),
                "{wrong} Hz instead of {hertz}"
            );
        }
    }
}
