//! For how long what a fault has done may last.

use crate::duration::SECOND_NS;

/// Longest pause between the attempts of a failed clock, an attempt and a little more.
pub(super) const BACK_OFF_NS: i64 = 310 * SECOND_NS;
/// Several attempts may fail by chance where much is lost.
pub(super) const UNLUCKY_NS: i64 = 1_800 * SECOND_NS;
/// So long a lie may be remembered: longer than any window of samples.
pub(super) const FORGOTTEN_NS: i64 = 8 * 3_600 * SECOND_NS;
