//! Drives: the bank's settlement gateway: store, API and the command line hundi-gateway.
