//! Gossip between swarm and driver: rate per link, messages that wait for a verdict, rejects.
//!
//! What a message means, and its verdict, are the driver's.

use std::collections::{HashMap, VecDeque};

use hundi_transports::link::CloseReason;
use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance};

use crate::behaviour::topic;
use crate::event::{Event, MessageId, PublishError, Verdict};
use crate::limits::GOSSIP_PENDING_MAX;

use super::{Owner, order};

/// Gossip messages that the driver has not judged yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct PendingGossip {
    sources: HashMap<MessageId, PeerId>,
    order: VecDeque<MessageId>,
}

impl PendingGossip {
    /// Remembers who brought a message. Returns the oldest one if there are too many.
    fn insert(&mut self, message: MessageId, source: PeerId) -> Option<(MessageId, PeerId)> {
        if self.sources.insert(message, source).is_none() {
            self.order.push_back(message);
        }
        if self.sources.len() <= GOSSIP_PENDING_MAX {
            return None;
        }
        let oldest = self.order.pop_front()?;
        let source = self.sources.remove(&oldest)?;
        Some((oldest, source))
    }

    fn remove(&mut self, message: MessageId) -> Option<PeerId> {
        let source = self.sources.remove(&message)?;
        self.order.retain(|other| *other != message);
        Some(source)
    }
}

impl Owner {
    pub(super) fn publish(&mut self, bytes: Vec<u8>) -> Result<MessageId, PublishError> {
        let id = MessageId::of(&bytes);
        let topic = topic(&self.network_tag);
        let gossip = self.swarm.behaviour_mut().gate.gossip();
        match gossip.publish(topic, bytes) {
            Ok(_) => Ok(id),
            Err(gossipsub::PublishError::Duplicate) => Err(PublishError::Known),
            Err(gossipsub::PublishError::AllQueuesFull(_)) => Err(PublishError::Busy),
            Err(_) => Err(PublishError::NoPeers),
        }
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source: source, message, .. } = event else {
            return;
        };
        let id = MessageId::of(&message.data);
        let now = self.now();
        let link = self.links.get_mut(&source).filter(|link| link.up);
        let Some(link) = link else {
            // It arrived with the end of its link.
            self.report(id, source, MessageAcceptance::Ignore);
            return;
        };
        let (link, allowed) = (link.link, link.gossip.try_take(now, 1));
        if !allowed {
            tracing::debug!(%link, "gossip above the rate limit ignored");
            self.report(id, source, MessageAcceptance::Ignore);
            return;
        }
        if let Some((oldest, source)) = self.gossip.insert(id, source) {
            self.report(oldest, source, MessageAcceptance::Ignore);
        }
        let (link, bytes) = (Some(link), message.data);
        self.outbox.push_back(Event::Gossip { message: id, link, bytes });
    }

    pub(super) fn validate(&mut self, message: MessageId, verdict: Verdict) {
        let Some(source) = self.gossip.remove(message) else {
            return;
        };
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        self.report(message, source, acceptance);
        if verdict == Verdict::Reject {
            let now = self.now();
            if let Some(link) = self.links.get_mut(&source)
                && !link.rejects.try_take(now, 1)
            {
                order(link, CloseReason::Misbehaved);
            }
        }
    }

    fn report(&mut self, message: MessageId, source: PeerId, acceptance: MessageAcceptance) {
        let id = gossipsub::MessageId::from(message.0.to_vec());
        let gossip = self.swarm.behaviour_mut().gate.gossip();
        // False if gossipsub has forgotten the message by now.
        let _ = gossip.report_message_validation_result(&id, &source, acceptance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_a_verdict_are_bounded_and_the_oldest_go() {
        let mut pending = PendingGossip::default();
        let source = PeerId::random();
        let id = |number: usize| MessageId::of(&number.to_le_bytes());
        for number in 0..GOSSIP_PENDING_MAX {
            assert_eq!(pending.insert(id(number), source), None);
        }
        assert_eq!(pending.remove(id(0)), Some(source));
        assert_eq!(pending.remove(id(0)), None, "one verdict each");
        assert_eq!(pending.insert(id(GOSSIP_PENDING_MAX), source), None);
        let pushed_out = pending.insert(id(GOSSIP_PENDING_MAX + 1), source);
        assert_eq!(pushed_out, Some((id(1), source)));
        assert_eq!(pending.order.len(), pending.sources.len());
    }
}
