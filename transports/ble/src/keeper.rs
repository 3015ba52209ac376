//! Keeps an adapter in use: opens it, waits until it is lost, says so, tries again ever more slowly.

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::config::Config;
use crate::limits::{RETRY_MS, RETRY_MS_MAX};
use crate::note::Note;
use crate::station::Station;

pub(crate) async fn run(config: Config, notes: mpsc::Sender<Note>) {
    let mut backoff = Backoff::new(RETRY_MS, RETRY_MS_MAX);
    loop {
        let error = match Station::open(&config, &notes).await {
            Ok((station, watch)) => {
                if notes.send(Note::On(Box::new(station))).await.is_err() {
                    return;
                }
                let since = Instant::now();
                let error = watch.lost().await;
                // One that comes and goes is not opened again at once each time.
                if since.elapsed().as_millis() > u128::from(RETRY_MS_MAX) {
                    backoff.reset();
                }
                error
            }
            Err(error) => error,
        };
        if notes.send(Note::Off(error)).await.is_err() {
            return;
        }
        sleep(backoff.next()).await;
    }
}
