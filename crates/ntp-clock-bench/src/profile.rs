//! The networks: what the test server does to packets each way.

use clap::ValueEnum;
use ntp_test_server::{Behaviour, Path, Probability};

/// A network, by the way packets go to the server and back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Profile {
    /// Next door
    Lan,
    /// Across a continent
    Wan,
    /// A telephone
    Mobile,
    /// One way takes longer than the other, which no client can know
    Asymmetric,
    /// Others fill the uplink now and then
    Uplink,
    /// As wan, and packets get lost
    Loss,
}

impl Profile {
    /// Delay to the server, delay to the client, loss each way.
    fn numbers(self) -> (&'static str, &'static str, f64) {
        match self {
            Profile::Lan => ("100us + exp 50us", "100us + exp 50us", 0.0),
            Profile::Wan => ("10ms + exp 1ms", "10ms + exp 1ms", 0.0),
            Profile::Mobile => {
                ("30ms + lognormal 8ms 1.2 cap 170ms", "30ms + lognormal 8ms 1.2 cap 170ms", 0.0)
            }
            Profile::Asymmetric => ("5ms + exp 200us", "25ms + exp 200us", 0.0),
            Profile::Uplink => {
                ("10ms + exp 200us + burst 140ms on 300ms off 1500ms", "10ms + exp 200us", 0.0)
            }
            Profile::Loss => ("10ms + exp 1ms", "10ms + exp 1ms", 0.2),
        }
    }

    /// In words for the table.
    pub(crate) fn description(self) -> String {
        let (to_server, to_client, loss) = self.numbers();
        let delay = if to_server == to_client {
            format!("{to_server} each way")
        } else {
            format!("{to_server} there, {to_client} back")
        };
        if loss > 0.0 { format!("{delay}, {:.0} % lost each way", loss * 100.0) } else { delay }
    }

    /// Makes a server behave as if it were at the other end of this network.
    pub(crate) fn apply(self, behaviour: &mut Behaviour) -> anyhow::Result<()> {
        let (to_server, to_client, loss) = self.numbers();
        let set = |path: &mut Path, delay: &str| -> anyhow::Result<()> {
            path.delay = delay.parse()?;
            path.loss = Probability::new(loss);
            Ok(())
        };
        set(&mut behaviour.to_server, to_server)?;
        set(&mut behaviour.to_client, to_client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_can_be_applied() {
        for profile in Profile::value_variants() {
            let mut behaviour = Behaviour::default();
            profile.apply(&mut behaviour).unwrap();
            assert_ne!(behaviour, Behaviour::default(), "{profile:?}");
            assert!(
                profile.description().contains("exp")
                    || profile.description().contains("lognormal")
            );
        }
    }
}
