//! The names of changes and faults, for messages and help.

/// The first words of all changes, for messages.
pub(crate) const CHANGES: &str = "offset, step, drift, delay, delay-to-server, delay-to-client, \
     loss, loss-to-server, loss-to-client, duplicate, reorder, precision, root-delay, \
     root-dispersion, reference-id, honest, 'faults off', or a fault: kiss, leap, stratum, \
     wrong-origin, zero-receive, zero-transmit, backwards, shift-receive, shift-transmit, \
     truncate, junk, extensions, mode, version, other-port, silence";

/// The names of all faults, for messages.
pub(crate) const FAULTS: &str = "kiss, leap, stratum, wrong-origin, zero-receive, zero-transmit, \
     backwards, shift-receive, shift-transmit, truncate, junk, extensions, mode, version, \
     other-port, silence";
