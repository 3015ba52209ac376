//! Starting: the owner task and the keeper of the adapter.

use tokio::sync::mpsc;

use crate::config::Config;
use crate::handle::{Events, Handle, Windows};
use crate::keeper;
use crate::limits::{COMMANDS_WINDOW, EVENTS_WINDOW, NOTES_WINDOW};
use crate::owner::Owner;

/// Starts the Bluetooth side on the current tokio runtime. It runs until [`Handle::stop`], or until
/// every handle or the receiver of events is gone, whatever becomes of adapter and daemon: without
/// them [`crate::Event::Off`] says why, and they are used as soon as they are there.
///
/// # Errors
/// Only if the system gives no randomness; nothing runs then. Must be called within a tokio runtime.
pub fn start(config: Config) -> Result<(Handle, Events), getrandom::Error> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)?;
    let windows = Windows::default();
    let (commands, commands_receiver) = mpsc::channel(COMMANDS_WINDOW);
    let (events, events_receiver) = mpsc::channel(EVENTS_WINDOW);
    let (notes, notes_receiver) = mpsc::channel(NOTES_WINDOW);
    let keeper = tokio::spawn(keeper::run(config.clone(), notes.clone()));
    let owner = Owner::new(config, entropy, windows.clone(), events, notes);
    tokio::spawn(async move {
        owner.run(commands_receiver, notes_receiver).await;
        keeper.abort();
    });
    Ok((Handle::new(commands, windows), Events(events_receiver)))
}
