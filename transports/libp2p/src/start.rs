//! Starting: a fresh identity, a swarm, the listeners, and the owner task.

use libp2p::identity::Keypair;
use libp2p::{SwarmBuilder, noise, tcp, yamux};
use tokio::sync::mpsc;

use crate::address::to_multiaddr;
use crate::behaviour::Behaviour;
use crate::config::{Config, StartError, check_network_tag};
use crate::handle::{Events, Handle, Windows};
use crate::limits::{COMMANDS_WINDOW, EVENTS_WINDOW, REACH_MAX};
use crate::owner::Owner;

/// Starts the libp2p side: makes a fresh identity, listens, and spawns the owner task on the
/// current tokio runtime. It runs until [`Handle::stop`], or until every handle or the receiver of
/// events is gone.
///
/// # Errors
/// [`StartError`]; nothing runs then. Must be called within a tokio runtime.
pub async fn start(config: Config) -> Result<(Handle, Events), StartError> {
    check_network_tag(&config.network_tag)?;
    let addresses = config.reach.as_ref().map_or(0, |reach| reach.len());
    if addresses > REACH_MAX {
        return Err(StartError::ReachTooLong { addresses });
    }
    let key = Keypair::generate_ed25519();
    let behaviour = Behaviour::new(&key, &config)?;
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| StartError::Parameters(error.to_string()))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| StartError::Parameters(error.to_string()))?
        .build();
    for address in &config.listen {
        let listening = swarm.listen_on(to_multiaddr(*address));
        listening
            .map_err(|error| StartError::Listen { address: *address, reason: error.to_string() })?;
    }
    let windows = Windows::default();
    let (commands, commands_receiver) = mpsc::channel(COMMANDS_WINDOW);
    let (events, events_receiver) = mpsc::channel(EVENTS_WINDOW);
    let handle = Handle::new(commands, windows.clone(), swarm.local_peer_id().to_string());
    let owner = Owner::new(swarm, config, windows, commands_receiver, events);
    tokio::spawn(owner.run());
    Ok((handle, Events(events_receiver)))
}
