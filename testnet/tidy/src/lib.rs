//! Judges: checks on the source that the compiler does not make.
