//! The worlds of several clocks and their names.

use crate::world::families;

families! {
    /// A world of several clocks and the messages between them; each seed draws one of it.
    pub enum LinkWorld {
        /// Machines in one building: 0.2 ms there and back.
        Lan = "lan",
        /// Radio: 2 ms there and back, and bursts.
        Wifi = "wifi",
        /// Telephones: 30 ms there and back, a heavy tail.
        Mobile = "mobile",
        /// 5 ms one way and 25 the other, always.
        Asymmetric = "asymmetric",
        /// Messages go one way only.
        OneWay = "one-way",
        /// A message in ten minutes, and nothing else.
        Rare = "rare",
        /// Delay moves from one way to the other while the round trip stays the same.
        Shifting = "shifting",
        /// The route changes, one way or both.
        RouteChange = "route-change",
        /// Oscillators that step and ramp as much as they may.
        Thermal = "thermal",
        /// Two oscillators that step at once, one up and one down, and all delay on one way.
        Opposed = "opposed",
        /// Up to 200 ppm off, wandering; day and night.
        Crystal = "crystal",
        /// Counters that show 5 us to 1 ms steps, as in browsers.
        Coarse = "coarse",
        /// Counters that a daemon steers by up to 500 ppm.
        Steered = "steered",
        /// Counters that are steered by up to 50 ppm.
        SteeredLittle = "steered-little",
        /// Machines that sleep.
        Suspend = "suspend",
        /// Machines that begin again with another counter.
        Restart = "restart",
        /// Messages that wait for hours, come twice, or overtake one another.
        Outbox = "outbox",
        /// Nothing passes for minutes to hours.
        Silence = "silence",
        /// One of the entities sends stamps that it made up.
        Liar = "liar",
        /// The hub sends stamps that it made up.
        LyingHub = "lying-hub",
        /// Two hubs, each with entities, that hear of each other by messages.
        TwoHubs = "two-hubs",
        /// Each speaks with the next one only.
        Chain = "chain",
        /// Everything drawn from the seed.
        Mixed = "mixed",
    }
}
