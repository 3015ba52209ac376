//! Drives: links over libp2p for LAN and internet.
