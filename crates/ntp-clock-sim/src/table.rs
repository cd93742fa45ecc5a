//! Tables for people.

use std::fmt;

/// Rows of text, the first column to the left and the others to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    #[must_use]
    pub fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Self {
        Table { rows: vec![headings.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|c: &String| c.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(f, "{cell:<width$}")?;
                } else {
                    write!(f, "  {cell:>width$}")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Nanoseconds with a unit that suits them.
#[must_use]
pub fn duration(ns: f64) -> String {
    match ns {
        ns if ns.is_nan() => "-".to_owned(),
        ns if ns < 1e3 => format!("{ns:.0}ns"),
        ns if ns < 1e4 => format!("{:.2}us", ns / 1e3),
        ns if ns < 1e5 => format!("{:.1}us", ns / 1e3),
        ns if ns < 1e6 => format!("{:.0}us", ns / 1e3),
        ns if ns < 1e7 => format!("{:.2}ms", ns / 1e6),
        ns if ns < 1e8 => format!("{:.1}ms", ns / 1e6),
        ns if ns < 1e9 => format!("{:.0}ms", ns / 1e6),
        ns => format!("{:.2}s", ns / 1e9),
    }
}
