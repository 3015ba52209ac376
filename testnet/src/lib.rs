//! Judges: local networks of real hundi processes, broken on purpose and judged.
