//! How much is kept, and what is assumed.

/// How much a history keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most samples, at least 16. One takes about 120 bytes.
    pub samples: usize,
    /// How far back it reaches, nanoseconds of the counter. One that begins lower counts from there.
    pub reach_ns: i64,
    /// How long a sample stands for the present: see [`History::is_due`](crate::History::is_due). Nanoseconds.
    pub due_ns: i64,
    /// How far the counter's rate can be from that of true time, parts per million.
    pub counter_ppm: i64,
}

impl Default for Limits {
    /// 4,096 samples, one hour, 50 ms, 500 ppm.
    fn default() -> Self {
        Limits { samples: 4_096, reach_ns: 3_600_000_000_000, due_ns: 50_000_000, counter_ppm: 500 }
    }
}
