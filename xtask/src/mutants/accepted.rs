//! The survivors that stay, each with the reason.

use anyhow::{Context, Result, bail};

/// What mutants.toml names.
#[derive(Debug, Default)]
pub(super) struct Accepted(Vec<Entry>);

/// One kind of survivor.
#[derive(Debug)]
pub(super) struct Entry {
    /// As cargo-mutants names it, without line and column, which move.
    pub(super) mutant: String,
    /// How many there are of it: one function may have the same operator twice.
    pub(super) count: usize,
}

impl Accepted {
    /// Reads `[[survivor]]` tables with `mutant`, `reason` and, where it is not 1, `count`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        if let Some(stray) = table.keys().find(|key| *key != "survivor") {
            bail!("{stray:?} is not [[survivor]]");
        }
        let Some(survivors) = table.get("survivor") else { return Ok(Accepted::default()) };
        let survivors = survivors.as_array().context("survivor is not written [[survivor]]")?;
        let mut entries: Vec<Entry> = Vec::new();
        for survivor in survivors {
            let text = |key: &str| survivor.get(key).and_then(toml::Value::as_str);
            let mutant = text("mutant").context("a survivor has no mutant")?.to_owned();
            let reason = text("reason").map_or("", str::trim);
            if reason.is_empty() {
                bail!("{mutant:?} has no reason");
            }
            if entries.iter().any(|entry| entry.mutant == mutant) {
                bail!("{mutant:?} is named twice: write a count");
            }
            let count = match survivor.get("count") {
                None => 1,
                Some(count) => count
                    .as_integer()
                    .and_then(|count| usize::try_from(count).ok())
                    .filter(|count| *count > 0)
                    .with_context(|| format!("{mutant:?} has a count of {count:?}"))?,
            };
            entries.push(Entry { mutant, count });
        }
        Ok(Accepted(entries))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// How many survivors of this name may stay.
    pub(super) fn count(&self, mutant: &str) -> usize {
        self.0.iter().find(|entry| entry.mutant == mutant).map_or(0, |entry| entry.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_is_named_with_its_reason_and_once() {
        let good = "[[survivor]]\nmutant = \"a.rs: x\"\nreason = \"why\"\ncount = 2\n";
        let accepted = Accepted::parse(good).unwrap();
        assert_eq!((accepted.count("a.rs: x"), accepted.count("a.rs: y")), (2, 0));
        assert_eq!(Accepted::parse("# nothing\n").unwrap().entries().len(), 0);
        for bad in [
            "[[survivor]]\nmutant = \"a\"\n".to_owned(),
            "[[survivor]]\nmutant = \"a\"\nreason = \" \"\n".to_owned(),
            "[[survivor]]\nreason = \"why\"\n".to_owned(),
            "[[survivors]]\nmutant = \"a\"\nreason = \"why\"\n".to_owned(),
            "[survivor]\nmutant = \"a\"\nreason = \"why\"\n".to_owned(),
            good.replace('2', "0"),
            format!("{good}{good}"),
        ] {
            assert!(Accepted::parse(&bad).is_err(), "{bad}");
        }
    }
}
