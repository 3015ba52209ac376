//! Drives: durable store, daemon, local API and the command line hundi.
