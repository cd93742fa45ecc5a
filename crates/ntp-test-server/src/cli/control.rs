//! Changes and questions on standard input, so that a test in any language can steer the server.

use std::io::{self, BufRead, Write};

use crate::change::Change;
use crate::server::TestServer;
use crate::stats::Stats;

/// Obeys each line, and answers each with one line, until the input ends.
pub(super) fn obey(
    server: &TestServer,
    input: impl BufRead,
    mut out: impl Write,
) -> io::Result<()> {
    for line in input.lines() {
        let line = line?;
        match line.trim() {
            "" => continue,
            "stats" => writeln!(out, "{}", stats_line(&server.stats()))?,
            text => match text.parse::<Change>() {
                Ok(change) => {
                    server.apply(&change);
                    writeln!(out, "ok")?;
                }
                Err(error) => writeln!(out, "error: {error}")?,
            },
        }
        out.flush()?;
    }
    Ok(())
}

fn stats_line(stats: &Stats) -> String {
    let counts = [
        ("requests", stats.requests),
        ("replies", stats.replies),
        ("duplicates", stats.duplicates),
        ("lost_to_server", stats.lost_to_server),
        ("lost_to_client", stats.lost_to_client),
        ("silenced", stats.silenced),
        ("ignored", stats.ignored),
        ("send_errors", stats.send_errors),
    ];
    counts.map(|(name, count)| format!("{name}={count}")).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_obeyed_or_refused_in_one_line() {
        let server = TestServer::builder().spawn().unwrap();
        let mut out = Vec::new();
        let input = "stratum 16\n\nstratum many\nstats\n";
        obey(&server, input.as_bytes(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "ok\nerror: 'many' is not a number from 0 to 255\nrequests=0 replies=0 duplicates=0 \
             lost_to_server=0 lost_to_client=0 silenced=0 ignored=0 send_errors=0\n"
        );
        assert_eq!(server.behaviour().stratum, 16);
    }
}
