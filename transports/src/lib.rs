//! Drives: the link interface, framing and secure channel, memory and file links; moves opaque bytes.
