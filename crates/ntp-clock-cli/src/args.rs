//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ntp_test_server::cli::ServerArgs;

use crate::duration::{parse, parse_positive};
use crate::server::{SourceArgs, Target};

/// The time of one NTP server, with an honest error: once, live, or from a log.
///
/// Asks time.cloudflare.com, or the server that --server or the environment variable
/// PORTACODE_NTP_SERVER names. Needs no privileges and never touches the system's clock.
#[derive(Parser, Debug)]
#[command(name = "ntp-clock", version, after_help = SHORT, after_long_help = LONG)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Print the time
    Now(NowArgs),
    /// Ask a server one burst of requests, and show each exchange
    Query(QueryArgs),
    /// Synchronise, then print everything about the clock
    Status(StatusArgs),
    /// Follow the clock live: full screen in a terminal, else lines
    Watch(WatchArgs),
    /// Write the exchange log of a live clock, for replay
    Record(RecordArgs),
    /// Replay an exchange log: one answer for each of its reads
    Replay(ReplayArgs),
    /// Give browsers the time: a relay over HTTP and WebSocket
    Relay(RelayArgs),
    /// Run an NTP server with scripted faults, for tests and demonstrations
    TestServer(Box<ServerArgs>),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or that of one command
    #[command(after_help = MAN)]
    Man {
        /// The command
        command: Option<String>,
    },
}

#[derive(Args, Debug)]
#[command(after_help = NOW)]
pub(crate) struct NowArgs {
    /// How to write it
    #[arg(long, value_enum, default_value_t = TimeFormat::Iso)]
    pub(crate) format: TimeFormat,

    /// How long to wait for the server at most
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse)]
    pub(crate) timeout: Duration,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum TimeFormat {
    /// 2025-10-05T04:37:12.768445+00:00
    Iso,
    /// Whole milliseconds since the Unix epoch
    Ms,
    /// Nanoseconds since the Unix epoch
    Ns,
    /// An object with the time, both errors, epoch and server
    Json,
}

#[derive(Args, Debug)]
#[command(after_help = QUERY)]
pub(crate) struct QueryArgs {
    /// The server to ask; without it the one of all commands
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) host: Option<Target>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// How long to wait for the burst to end at most
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse)]
    pub(crate) timeout: Duration,
}

#[derive(Args, Debug)]
#[command(after_help = STATUS)]
pub(crate) struct StatusArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// How long to wait for the server at most
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse)]
    pub(crate) timeout: Duration,
}

#[derive(Args, Debug)]
#[command(after_help = WATCH)]
pub(crate) struct WatchArgs {
    /// Pause between two readings
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    pub(crate) interval: Duration,

    /// End after this many readings
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// Print lines, also in a terminal
    #[arg(long)]
    pub(crate) lines: bool,

    /// Pause between two rounds with the server, 1s to 24h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_positive)]
    pub(crate) poll: Duration,
}

#[derive(Args, Debug)]
#[command(after_help = RECORD)]
pub(crate) struct RecordArgs {
    /// Where to write the log; - is standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = parse_positive)]
    pub(crate) duration: Option<Duration>,

    /// Read the clock so often, and write that into the log too
    #[arg(long, value_name = "TIME", value_parser = parse_positive)]
    pub(crate) reads: Option<Duration>,

    /// Write what the live clock answered to those reads, as replay would
    #[arg(long, value_name = "FILE", requires = "reads")]
    pub(crate) answers: Option<PathBuf>,

    /// Pause between two rounds with the server, 1s to 24h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_positive)]
    pub(crate) poll: Duration,
}

#[derive(Args, Debug)]
#[command(after_help = REPLAY, after_long_help = REPLAY_LONG)]
pub(crate) struct ReplayArgs {
    /// The log; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[cfg(feature = "relay")]
#[derive(Args, Debug)]
#[command(after_help = RELAY, after_long_help = RELAY_LONG)]
pub(crate) struct RelayArgs {
    /// Where to listen; port 0 is a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8123")]
    pub(crate) listen: String,

    /// The certificate, and those that vouch for it, in PEM: HTTPS and WSS instead of HTTP and WS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Only pages of this origin (https://example.org) may ask; may be given again. * is all pages,
    /// and the default
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(crate) allow_origin: Vec<OriginArg>,

    /// Requests a second that one connection may make, and twice as many at once; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) rate: u32,

    /// Connections open at the same time
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,

    /// Close WebSockets that are silent for so long
    #[arg(long, value_name = "TIME", default_value = "11m", value_parser = parse_positive)]
    pub(crate) idle: Duration,

    /// Pause between two rounds with the server, 1s to 24h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_positive)]
    pub(crate) poll: Duration,
}

#[cfg(feature = "relay")]
#[derive(Clone, Debug)]
pub(crate) enum OriginArg {
    Any,
    One(ntp_clock_relay::Origin),
}

#[cfg(feature = "relay")]
fn origin(text: &str) -> Result<OriginArg, ntp_clock_relay::OriginError> {
    if text == "*" { Ok(OriginArg::Any) } else { text.parse().map(OriginArg::One) }
}

/// Whatever is asked for, the answer is the same.
#[cfg(not(feature = "relay"))]
#[derive(Args, Debug)]
#[command(disable_help_flag = true, after_help = NO_RELAY)]
pub(crate) struct RelayArgs {
    /// Options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) any: Vec<std::ffi::OsString>,
}

const SHORT: &str = "\
Exit status: 0 done, 1 not synchronised or failed, 2 wrong usage or malformed input.
See --help for examples, the server's name and the exit status in full.";

const LONG: &str = "\
Examples:
  ntp-clock now                            the time, as soon as the server has answered
  ntp-clock now --format json              the same with both errors
  ntp-clock query pool.ntp.org             what one burst of requests says about a server
  ntp-clock query nts://time.cloudflare.com   the same, proved: nobody on the way can change it
  ntp-clock status --json                  everything about the clock, for programs
  ntp-clock watch                          live, until q or Ctrl-C
  ntp-clock record day.log --reads 1s      log what the clock does, and read it every second
  ntp-clock replay day.log                 the same readings again, from the log alone
  ntp-clock relay                          give pages in a browser the time, at 127.0.0.1:8123
  ntp-clock test-server --offset +1h       a server that is an hour off, to try things with
  ntp-clock --server localhost:11123 now   ask that server

Every time has two errors. max_error is a hard bound: the true time is within it, as long as the
server is right. est_error is one standard deviation: how far off it probably is.

Server:
  One server is asked, and no other is ever asked in its place. --server names it, else the
  environment variable PORTACODE_NTP_SERVER, else it is time.cloudflare.com. Written as a host
  name or an address, with :port if that is not 123: time.example.org, 10.0.0.1:11123,
  [::1]:11123.

Network Time Security (NTS):
  nts://HOST[:PORT] in the place of a server believes nothing that is not proved; so does
  PORTACODE_NTP_NTS=required, with every server. There is no way back to plain NTP. The port is that
  of the key exchange, 4460 where none is named; where time is asked, the exchange says. The
  server's certificate has to be by one that this machine trusts, or by one in the file (PEM) that
  --nts-ca or PORTACODE_NTP_NTS_CA names.

Lengths of time (TIME): a number and a unit, us, ms, s, m or h: 500ms, 10s, 5m. Without a unit,
seconds.

Exit status:
  0    done; also when the reader of our output has had enough (| head), when watch is ended by q
       or Ctrl-C, and when record or relay is ended by Ctrl-C
  1    not synchronised: no believed reply (the message says why); or the server, the disk or the
       output failed
  2    wrong usage: an unknown option, a malformed variable or server, a file that cannot be opened
       or has no certificates, a malformed log (the message names the line)
  130  ended by Ctrl-C (by the signal, as shells count it): all commands but watch, record and
       relay; 143 by SIGTERM";

const NOW: &str = "\
Examples:
  ntp-clock now                      2025-10-05T04:37:12.768445+00:00
  ntp-clock now --format ms          1759639032768
  ntp-clock now --format json | jq .max_error_ns

Prints nothing and exits with 1 if the server gives no time within --timeout.";

const QUERY: &str = "\
Examples:
  ntp-clock query time.cloudflare.com
  ntp-clock query localhost:11123 --json
  ntp-clock query nts://time.cloudflare.com

One burst is at most 8 requests. Of each exchange you see its offset (the server's clock less the
system's) and its round trip, and both errors of a clock that has seen it and those before. With
nts:// also what the key exchange gave, and the certificate. Replies that were not believed
are counted by reason. Exits with 1 if none was believed.";

const STATUS: &str = "\
Examples:
  ntp-clock status
  ntp-clock status --json | jq .offset_ms

Waits for the end of the first round. Prints the status also where the clock could not be
synchronised, and then exits with 1. Its keys are those of get_status() in Python: names end in
their unit, and what only a synchronised clock has is null.";

const WATCH: &str = "\
Examples:
  ntp-clock watch                          full screen; q or Ctrl-C ends it
  ntp-clock watch --lines --interval 10s   a line every ten seconds
  ntp-clock watch --count 5 | tee log      lines, because the output is no terminal

offset is the synchronised time less the system's: how far the system's clock is slow.";

const RECORD: &str = "\
Examples:
  ntp-clock record day.log                          until Ctrl-C
  ntp-clock record - --duration 1m | gzip > a.gz
  ntp-clock record s.log --reads 1s --answers live.out
  ntp-clock replay s.log | cmp - live.out           no output: the same to the last bit

An existing file is replaced. Each line is written whole and at once, so the log can be followed,
and what is there is a log at any time, however the recording ends; if the disk is full, a line
that was begun is taken back. The file is synced to the disk at the end. Exits with 1 where the
clock was never synchronised. The format: ntp-clock replay --help.";

const REPLAY: &str = "See --help for the format.";

const REPLAY_LONG: &str = "\
Examples:
  ntp-clock replay day.log > answers
  zcat day.log.gz | ntp-clock replay - | head

The answers are the same, to the last bit, on every machine. Any length of log takes the same
memory. Log lines are JSON objects, in order of local time (the clock's free-running counter), all
numbers integers:

  {\"type\":\"exchange\",\"t1_local_ns\":..,\"t2_ns\":..,\"t3_ns\":..,\"t4_local_ns\":..,
   \"root_delay_ns\":..,\"root_dispersion_ns\":..,\"precision_log2_s\":..,\"stratum\":..,\"leap\":..}
      (on one line) a reply; optional \"handled_local_ns\": when it was taken into account
  {\"type\":\"lost\",\"t1_local_ns\":..}        a request without a reply worth weighing
  {\"type\":\"read\",\"local_ns\":..}           what is the time at this moment?
  {\"type\":\"round_end\",\"local_ns\":..}      optional: the live clock ended its round
  {\"type\":\"suspend\",\"local_ns\":..}        optional: the counter lost time
  {\"type\":\"counter_changed\",\"local_ns\":..}
      optional: the counter may be another one, of another frequency

Each read is answered by one line, with null for what an unsynchronised clock cannot say:

  {\"local_ns\":..,\"time_ns\":..,\"max_error_ns\":..,\"est_error_ns\":..}

The log's own schedule stands: the clock fails only through what the log says was lost (three
rounds in a row; requests within 1.9 s of the one before are one round). An exchange that no clock
would believe (stratum 16, leap 3, time that runs backwards ...) counts as lost. Unknown members
and blank lines are ignored. Anything else (no JSON, a member missing or out of its range, an
unknown type, a line of over 65536 bytes or cut off) ends the replay with the line's number, the
reason, and exit status 2; the answers before it have been written.";

#[cfg(feature = "relay")]
const RELAY: &str = "See --help for examples, paths, limits and how to run it behind a proxy.";

#[cfg(feature = "relay")]
const RELAY_LONG: &str = "\
Examples:
  ntp-clock relay
  curl 'http://127.0.0.1:8123/clock?request_id=1'
  ntp-clock relay --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem \\
      --allow-origin https://app.example.org

In the page: ntpClock.configure({relay: 'wss://time.example.org/clock/ws'}), or the same with
https: and /clock.

Paths:
  /clock      HTTP: GET /clock?request_id=...; 503 and \"server_time\": null while not synchronised
  /clock/ws   the same over a WebSocket
  /metrics    for Prometheus: the clock and the relay; let a proxy keep it private
  /healthz    200 while synchronised, else 503

Listens at once, and says when it is synchronised; until then it gives no time. The stamps are those
of the clock, and each has the relay's own error. Ctrl-C and SIGTERM end it: requests under
way are answered, WebSockets closed (code 1001), after 5 s at the latest.

Limits: 1024 bytes a request, --rate for each connection, --max-connections in all. A client
that asks too often gets 429 (over a WebSocket an error; after 64 in a row it is closed with
1008). Connections that send nothing for 75 s (WebSockets: --idle), or take no answer for 10 s,
are closed.

Behind a proxy give --rate 0: its connections carry many clients. It must not cache (the answers
say no-store), and whatever time it holds a message for is lost precision.";

#[cfg(not(feature = "relay"))]
pub(crate) const NO_RELAY: &str = "\
this build of ntp-clock has no relay: install it with `cargo install ntp-clock-cli`";

const COMPLETIONS: &str = "\
Examples:
  ntp-clock completions bash > ~/.local/share/bash-completion/completions/ntp-clock
  ntp-clock completions zsh > ~/.zfunc/_ntp-clock
  ntp-clock completions fish > ~/.config/fish/completions/ntp-clock.fish";

const MAN: &str = "\
Examples:
  ntp-clock man | man -l -
  ntp-clock man record > ~/.local/share/man/man1/ntp-clock-record.1";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_line_of_help_of_ours_is_wider_than_a_terminal() {
        #[cfg(feature = "relay")]
        let relay = RELAY_LONG;
        #[cfg(not(feature = "relay"))]
        let relay = NO_RELAY;
        for text in [LONG, NOW, QUERY, STATUS, WATCH, RECORD, REPLAY_LONG, relay, COMPLETIONS, MAN]
        {
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }
}
