//! What a command needs of its process.

/// Makes signals do in this process what people expect of a command; to be called before it
/// starts any thread.
///
/// A file that may not grow any more (`ulimit -f`) is an error of writing, which is reported, and no
/// death in mid-line. As process 1 of a container, for which the kernel ignores every signal that
/// has no handler, it ends by SIGINT and SIGTERM as it does elsewhere, with the status 128 and the
/// signal's number.
#[cfg(unix)]
pub fn prepare_process() {
    use nix::sys::signal::{SigSet, Signal};

    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // Blocked it stays, and writing fails with EFBIG. This fails for an invalid argument alone.
    let _ = signals.thread_block();
    if std::process::id() == 1 {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let ends = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
            let number = signal as i32;
            // It fails for signals that cannot be handled; these can.
            let _ = signal_hook::flag::register_conditional_shutdown(number, 128 + number, ends);
        }
    }
}

/// Makes signals do in this process what people expect of a command: nothing is needed here.
#[cfg(not(unix))]
pub fn prepare_process() {}
