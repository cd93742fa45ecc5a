//! Lengths of time as people write them: `500ms`, `10s`, `5m`, `1h`; a bare number is seconds.

use std::time::Duration;

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(HOW.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| HOW.to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| HOW.to_owned())
}

/// The same, but not nothing.
pub(crate) fn parse_positive(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.is_zero() { Err("it must be more than 0".to_owned()) } else { Ok(duration) }
}

const HOW: &str = "write a length of time such as 500ms, 10s, 5m or 1h";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_and_without_their_unit() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("1.5", 1_500), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused_with_an_example() {
        for text in ["", "ms", "-1s", "1 s", "1d", "nan", "inf", "1.2.3", "1e400s", "+1s"] {
            assert_eq!(parse(text), Err(HOW.to_owned()), "{text:?}");
        }
        assert!(parse("99999999999999999999999h").is_err());
        assert!(parse_positive("0").unwrap_err().contains("more than 0"));
    }
}
