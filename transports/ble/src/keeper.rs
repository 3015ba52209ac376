//! Keeps an adapter in use: opens it, waits until it is lost, says so, tries again,
//! ever more slowly while the reason stays the same.

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::config::Config;
use crate::limits::{RETRY_MS, RETRY_MS_MAX};
use crate::note::Note;
use crate::station::Station;

pub(crate) async fn run(config: Config, notes: mpsc::Sender<Note>) {
    let mut backoff = Backoff::new(RETRY_MS, RETRY_MS_MAX);
    let mut last = None;
    loop {
        let error = match Station::open(&config, &notes).await {
            Ok((station, watch)) => {
                if notes.send(Note::On(Box::new(station))).await.is_err() {
                    return;
                }
                watch.lost().await
            }
            Err(error) => error,
        };
        // Another reason than before: somebody is plugging in, switching on, starting.
        if last.as_ref() != Some(&error) {
            backoff.reset();
        }
        last = Some(error.clone());
        if notes.send(Note::Off(error)).await.is_err() {
            return;
        }
        sleep(backoff.next()).await;
    }
}
