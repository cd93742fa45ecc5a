//! The families of worlds and their names.

/// An enumeration of worlds with their names and what they are about.
macro_rules! families {
    (
        $(#[$outer:meta])*
        pub enum $families:ident {
            $($(#[doc = $about:literal])* $variant:ident = $name:literal),* $(,)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $families {
            $($(#[doc = $about])* $variant),*
        }

        impl $families {
            /// All of them.
            pub const ALL: &[$families] = &[$($families::$variant),*];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($families::$variant => $name),* }
            }

            /// What it is about.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $($families::$variant => concat!($($about),*)),* }
            }
        }

        impl std::fmt::Display for $families {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $families {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                $families::ALL.iter().copied().find(|family| family.name() == text).ok_or_else(|| {
                    let names: Vec<_> = $families::ALL.iter().map(|family| family.name()).collect();
                    format!("no such world; there are {}", names.join(", "))
                })
            }
        }
    };
}
pub(crate) use families;

families! {
    /// A family of worlds; each seed draws one of it.
    pub enum Family {
        /// A server in the same building.
        Lan = "lan",
        /// An ordinary path through the Internet.
        Wan = "wan",
        /// A telephone: jitter, loss, queues, changing routes.
        Mobile = "mobile",
        /// One direction takes constantly longer than the other.
        Asymmetric = "asymmetric",
        /// Jitter in one direction only.
        UplinkJitter = "uplink-jitter",
        /// A buffer that stands full for minutes.
        Bufferbloat = "bufferbloat",
        /// Loss, single and in bursts, duplicates and stragglers.
        Lossy = "lossy",
        /// The route changes, one way or both.
        RouteChange = "route-change",
        /// Several ppm within minutes.
        ThermalStep = "thermal-step",
        /// Day and night, and a heater that switches.
        DailyTemperature = "daily-temperature",
        /// Up to 200 ppm off, wandering, with steps of frequency.
        BadCrystal = "bad-crystal",
        /// A server that wanders inside its stated root distance.
        ServerWander = "server-wander",
        /// A server whose clock steps: within what it states, or beyond it (then it lies for a while).
        ServerStep = "server-step",
        /// The network is gone for minutes to hours.
        Outage = "outage",
        /// A counter that shows 5 us to 1 ms steps, as in browsers.
        CoarseCounter = "coarse-counter",
        /// The machine sleeps.
        Suspend = "suspend",
        /// Threads that run late or not at all for seconds.
        Pauses = "pauses",
        /// A server that refuses (kiss-o'-death) for a while.
        Kiss = "kiss",
        /// A leap second.
        Leap = "leap",
        /// All of the delay on one way, and frequency that steps and ramps: the bound's worst case.
        Cornered = "cornered",
        /// Other polls, odd mixtures: heavy tails, rush hours, two routes at once, steps to and fro.
        Strange = "strange",
        /// Steps of 3 ppm in one direction, fifteen minutes apart at least, 15 ppm in all.
        Staircase = "staircase",
        /// The server is lost for a day, or asked once a day: temperature swings, ageing, steps.
        Holdover = "holdover",
        /// Delay moves from one way to the other while the round trip stays the same.
        Shifting = "shifting",
        /// A counter that a daemon steers by up to 500 ppm, for seconds to minutes.
        Steered = "steered",
        /// A server that answers one packet every few seconds, and others with the kiss RATE.
        RateLimited = "rate-limited",
        /// Everything drawn from the seed.
        MixedRandom = "mixed-random",
        /// Off the path: hundreds of forged replies, kisses and NAKs for each request, to the right port.
        Spoofer = "spoofer",
        /// The same, with NTS required.
        SpooferNts = "spoofer-nts",
        /// On the path: old replies again, late, early, in another order, of other rounds.
        Replayer = "replayer",
        /// The same, with NTS required.
        ReplayerNts = "replayer-nts",
        /// On the path: moves delay between the directions at a constant round trip, knowing the oscillator.
        Delayer = "delayer",
        /// The same, with NTS required.
        DelayerNts = "delayer-nts",
        /// On the path: changes the times of replies, beside the real ones or in place of them.
        Forger = "forger",
        /// The same, with NTS required.
        ForgerNts = "forger-nts",
        /// All counters stop together, or jump, or go on at another rate, and nobody says so.
        Frozen = "frozen",
        /// The same, with a host that says so (vmclock).
        FrozenNoticed = "frozen-noticed",
    }
}
