//! Ctrl-C, for commands that run until then.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Has Ctrl-C (and a polite kill) ask us to stop, instead of stopping us.
pub(crate) fn on_signals() -> Stop {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    STOPPED.store(false, Ordering::Relaxed);
    INSTALLED.get_or_init(|| {
        // Where the system refuses, a signal ends the process as ever: each line written is whole.
        let _ = ctrlc::set_handler(|| STOPPED.store(true, Ordering::Relaxed));
    });
    Stop(())
}

/// Tells whether to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop(());

impl Stop {
    pub(crate) fn is_asked(self) -> bool {
        STOPPED.load(Ordering::Relaxed)
    }
}

static STOPPED: AtomicBool = AtomicBool::new(false);
