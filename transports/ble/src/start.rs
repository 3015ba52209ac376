//! Starting: the owner task and the keeper of the adapter, on a thread of their own.

use std::io;
use std::thread;

use thiserror::Error;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::config::Config;
use crate::handle::{Events, Handle, Windows};
use crate::keeper;
use crate::limits::{COMMANDS_WINDOW, EVENTS_WINDOW, FAREWELL, NOTES_WINDOW};
use crate::owner::Owner;

/// Why nothing was started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system gives no randomness.
    #[error("no randomness: {0}")]
    Entropy(#[from] getrandom::Error),
    /// The system gives no thread, or no reactor for it.
    #[error("no thread: {0}")]
    Thread(#[from] io::Error),
}

/// Starts the Bluetooth side, on a thread of its own. It runs until [`Handle::stop`], or until
/// every handle or the receiver of events is gone, whatever becomes of adapter and daemon: without
/// them [`crate::Event::Off`] says why, and they are used as soon as they are there.
///
/// # Errors
/// If the system gives no randomness or no thread; nothing runs then.
pub fn start(config: Config) -> Result<(Handle, Events), StartError> {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)?;
    let windows = Windows::default();
    let (commands, commands_receiver) = mpsc::channel(COMMANDS_WINDOW);
    let (events, events_receiver) = mpsc::channel(EVENTS_WINDOW);
    let (notes, notes_receiver) = mpsc::channel(NOTES_WINDOW);
    // On one thread: a caller of libdbus may read what comes while it writes, and the task that
    // hands answers out, on another thread, would not learn of an answer that was read so.
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    // Who reads the events learns that everything is over, the farewell too.
    let last = events.clone();
    let owner = Owner::new(config.clone(), entropy, windows.clone(), events, notes.clone());
    let work = async move {
        let keeper = tokio::spawn(keeper::run(config, notes));
        owner.run(commands_receiver, notes_receiver).await;
        keeper.abort();
        sleep(FAREWELL).await;
        drop(last);
    };
    thread::Builder::new().name("ble".to_owned()).spawn(move || runtime.block_on(work))?;
    Ok((Handle::new(commands, windows), Events(events_receiver)))
}
