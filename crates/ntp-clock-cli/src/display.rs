//! Spans for the eye.

use ntp_clock::Span;

/// Three decimals in the unit that suits: `6.041 ms`, `20.312 us`, `87 ns`.
pub(crate) fn span(span: Span) -> String {
    let nanos = span.as_nanos();
    let size = nanos as f64;
    match nanos.unsigned_abs() {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.3} us", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.3} ms", size / 1e6),
        _ => format!("{:.3} s", size / 1e9),
    }
}

/// The same with its sign, for offsets.
pub(crate) fn signed(offset: Span) -> String {
    let text = span(offset);
    if offset >= Span::ZERO { format!("+{text}") } else { text }
}

/// What there is, or a dash.
pub(crate) fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_in_the_unit_that_suits() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (20_312, "20.312 us"),
            (-6_041_000, "-6.041 ms"),
            (3_600_000_000_000, "3600.000 s"),
        ] {
            assert_eq!(span(Span::from_nanos(nanos)), text);
        }
        assert_eq!(signed(Span::from_nanos(5)), "+5 ns");
        assert_eq!(signed(Span::from_nanos(-5)), "-5 ns");
        assert_eq!(or_dash(None, span), "-");
    }
}
