//! Changes at their times.

use std::str::FromStr;
use std::time::Duration;

use crate::behaviour::Behaviour;
use crate::change::Change;
use crate::error::ScriptError;
use crate::text;

/// A list of changes, each with the time since the server's start at which it happens.
///
/// As text, one change a line, after its time; `#` begins a comment, and empty lines mean nothing.
/// The lines need not be in order; those of the same time happen in the order written.
///
/// ```
/// use std::time::Duration;
/// use ntp_test_server::{Fault, Script};
/// let from_code = Script::new()
///     .at(Duration::from_secs(10), |b| b.faults.always(Fault::Silence))
///     .at(Duration::from_secs(20), |b| b.faults.clear());
/// let from_text: Script = "
///     10s silence on     # nobody at home
///     20s silence off
/// ".parse()?;
/// assert_eq!((from_code.len(), from_text.len()), (2, 2));
/// # Ok::<(), ntp_test_server::ScriptError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<(Duration, Change)>);

impl Script {
    /// An empty script.
    #[must_use]
    pub fn new() -> Self {
        Script::default()
    }

    /// With a change so long after the start.
    #[must_use]
    pub fn at(
        self,
        after: Duration,
        change: impl Fn(&mut Behaviour) + Send + Sync + 'static,
    ) -> Self {
        self.with(after, Change::new(change))
    }

    /// With a change so long after the start.
    #[must_use]
    pub fn with(mut self, after: Duration, change: Change) -> Self {
        self.0.push((after, change));
        self
    }

    /// How many changes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes in the order in which they happen.
    pub(crate) fn into_sorted(mut self) -> Vec<(Duration, Change)> {
        // Stable, so changes of the same time stay in order.
        self.0.sort_by_key(|(after, _)| *after);
        self.0
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Script::new();
        for (index, line) in text.lines().enumerate() {
            let content = line.split('#').next().unwrap_or_default().trim();
            if content.is_empty() {
                continue;
            }
            let at_line = |reason| ScriptError { line: index + 1, reason };
            let (after, change) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
            let after = text::duration(after).map_err(at_line)?;
            script = script.with(after, change.parse().map_err(at_line)?);
        }
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_happen_by_time_and_then_by_place() {
        let script: Script = "2s offset 2s\n\n1s offset 1s # first\n2s step 3s\n".parse().unwrap();
        let times: Vec<_> = script.into_sorted();
        let shown: Vec<_> = times.iter().map(|(t, c)| format!("{t:?} {c:?}")).collect();
        assert_eq!(shown, ["1s Change(offset 1s)", "2s Change(offset 2s)", "2s Change(step 3s)"]);
    }

    #[test]
    fn a_malformed_line_is_named_with_its_number_and_reason() {
        let error =
            |text: &str| text.parse::<Script>().map_or_else(|e| e.to_string(), |_| "-".into());
        assert_eq!(
            error("# fine\n1s silence on\nsoon silence off"),
            "line 3: 'soon' is not a length of time such as 10ms, 1.5s or 20us"
        );
        assert_eq!(error("1s"), "line 1: a change is missing");
        assert_eq!(error("-1s honest"), "line 1: '-1s' must not be negative");
        assert!(error("\n1s dance").starts_with("line 2: 'dance' is not a change (try: offset"));
    }
}
