use hundi_transport_libp2p::{Config, Event, start};

#[tokio::test]
async fn two_nodes_meet() {
    let (a, mut a_events) =
        start(Config::new("test", vec!["127.0.0.1:0".parse().unwrap()])).await.unwrap();
    let (b, mut b_events) =
        start(Config::new("test", vec!["127.0.0.1:0".parse().unwrap()])).await.unwrap();
    let Some(Event::Listening { address }) = a_events.next().await else { panic!() };
    let Some(Event::Listening { .. }) = b_events.next().await else { panic!() };
    b.dial(address).await.unwrap();
    let Some(Event::LinkUp { info: at_a, .. }) = a_events.next().await else { panic!() };
    let Some(Event::LinkUp { info: at_b, .. }) = b_events.next().await else { panic!() };
    assert_eq!(at_a.handshake_hash, at_b.handshake_hash);
    assert!(at_b.initiator && !at_a.initiator);
    a.send(at_a.link, vec![1, 2, 3]).await.unwrap();
    let Some(Event::Message { bytes, .. }) = b_events.next().await else { panic!() };
    assert_eq!(bytes, [1, 2, 3]);
    loop {
        match b.publish(vec![9]).await {
            Ok(_) => break,
            Err(e) => {
                println!("{e}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
    let event = a_events.next().await;
    assert!(matches!(event, Some(Event::Gossip { .. })), "{event:?}");
    a.close(at_a.link).await;
    println!("{:?} {:?}", a_events.next().await, b_events.next().await);
    a.stop().await;
    b.stop().await;
    assert!(a_events.next().await.is_none());
}
