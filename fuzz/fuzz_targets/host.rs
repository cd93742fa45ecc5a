//! Any text either names a server, and then its own text names the same one, or is refused in words.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntp_clock::Server;

fuzz_target!(|text: &str| {
    match text.parse::<Server>() {
        Ok(server) => {
            assert!(!server.host().is_empty() && server.port() != 0, "{server:?}");
            assert!(!server.host().contains(['[', ']', '/', ' ', '\0', '\n']), "{server:?}");
            assert_eq!(server.to_string().parse(), Ok(server));
        }
        Err(error) => assert!(!error.to_string().is_empty() && error.text() == text),
    }
});
