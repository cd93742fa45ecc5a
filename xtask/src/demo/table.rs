//! The table: what a newcomer should see in five seconds is the two columns "apart".

use std::env;
use std::io::IsTerminal;
use std::time::Duration;

use super::moment::Row;

/// Prints rows under a heading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    colour: bool,
}

impl Table {
    /// Prints the heading.
    pub(super) fn begin() -> Self {
        let colour = std::io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        println!("         their system clocks               ntp-clock, at the same moments");
        println!(
            "         {:<11}{:<11}{:>8}   {:<15}{:<15}{:>8}  {:>7}",
            "Rust", "Python", "apart", "Rust", "Python", "apart", "errors"
        );
        Table { colour }
    }

    /// Prints one moment; `good` is the verdict on it.
    pub(super) fn row(self, after: Duration, row: &Row, good: bool) {
        let [rust, python] = row.system_ns();
        let wrong = format!("{:>8}", span(rust - python));
        print!(
            "{:>5.1} s  {:<11}{:<11}{}   ",
            after.as_secs_f64(),
            clock(rust, 3),
            clock(python, 3),
            self.paint(&wrong, RED)
        );
        let (Some([rust, python]), Some(errors)) = (row.readings(), row.errors_ns()) else {
            println!("{:<15}{:<15}", told(row, 0), told(row, 1));
            return;
        };
        let apart = format!("{:>8}", span(rust.time_ns - python.time_ns));
        println!(
            "{:<15}{:<15}{}  {:>7}{}",
            clock(rust.time_ns, 6),
            clock(python.time_ns, 6),
            self.paint(&apart, if good { GREEN } else { RED }),
            span(errors),
            if good { "" } else { "  WRONG" },
        );
    }

    fn paint(self, text: &str, colour: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A program's reading where the other one has none.
fn told(row: &Row, which: usize) -> String {
    row.samples[which].reading.map_or_else(|| "None".to_owned(), |r| clock(r.time_ns, 6))
}

/// Minutes and seconds of a Unix time, floored to so many digits.
fn clock(unix_ns: i64, digits: usize) -> String {
    let ns = unix_ns.rem_euclid(3600 * NANOS_PER_SEC);
    let (secs, fraction) = (ns / NANOS_PER_SEC, ns % NANOS_PER_SEC);
    let fraction = &format!("{fraction:09}")[..digits];
    format!("{:02}:{:02}.{fraction}", secs / 60, secs % 60)
}

/// A length of time without its sign, in the unit that suits it.
pub(super) fn span(ns: i64) -> String {
    let ns = ns.unsigned_abs() as f64;
    match ns {
        ..1e6 => format!("{:.0} µs", (ns / 1e3).ceil()),
        ..1e9 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.3} s", ns / 1e9),
    }
}

const NANOS_PER_SEC: i64 = 1_000_000_000;
const RED: &str = "31";
const GREEN: &str = "32";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_floored_and_spans_fit_their_unit() {
        assert_eq!(clock(1_759_639_032_768_445_999, 6), "37:12.768445");
        assert_eq!(clock(1_759_639_032_768_445_999, 3), "37:12.768");
        assert_eq!(span(-9_100), "10 µs");
        assert_eq!(span(12_340_000), "12.3 ms");
        assert_eq!(span(3_900_000_000), "3.900 s");
    }
}
