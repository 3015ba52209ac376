//! A stream's task against an other end that keeps no rules, over a pipe, on a paused clock.

use std::sync::atomic::{AtomicU64, Ordering};

use hundi_transports::rate::Rate;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::*;

/// The other end of the pipe, and what the task tells its owner and its driver.
struct Rig {
    pipe: DuplexStream,
    events: mpsc::Receiver<Event>,
    outcome: oneshot::Receiver<Outcome>,
    orders: watch::Sender<Option<CloseReason>>,
    window: mpsc::Sender<Vec<u8>>,
}

/// Starts a task that decides (or follows) and whose owner admits everything.
fn rig(decides: bool, limits: Limits) -> Rig {
    let (mut me, mut peer) = (PeerId::random(), PeerId::random());
    if (me.to_bytes() < peer.to_bytes()) != decides {
        std::mem::swap(&mut me, &mut peer);
    }
    let (pipe, stream) = tokio::io::duplex(4_096);
    let (reports, mut reports_receiver) = mpsc::channel(8);
    let (events_sender, events) = mpsc::channel(8);
    let (window, window_receiver) = mpsc::channel(4);
    let (orders, orders_receiver) = watch::channel(None);
    let (outcome_sender, outcome) = oneshot::channel();
    static CONNECTION: AtomicU64 = AtomicU64::new(0);
    let number = usize::try_from(CONNECTION.fetch_add(1, Ordering::Relaxed)).unwrap();
    let context = Context {
        connection: ConnectionId::new_unchecked(number),
        me,
        peer,
        dialled: true,
        remote: "127.0.0.1:1".parse().unwrap(),
        network_tag: "test".to_owned(),
        nonce: [1; 32],
        listening: vec![],
        limits,
        reports,
        events: events_sender,
    };
    tokio::spawn(async move {
        let mut admitted =
            Some(Admitted { link: LinkId(1), window: window_receiver, orders: orders_receiver });
        let mut outcome_sender = Some(outcome_sender);
        while let Some(report) = reports_receiver.recv().await {
            match report {
                Report::Judge { reply, .. } => {
                    let _ = reply.send(Judgement::Admit(admitted.take().unwrap()));
                }
                Report::Up { .. } => {}
                Report::Ended { outcome, .. } => {
                    let _ = outcome_sender.take().unwrap().send(outcome);
                }
            }
        }
    });
    tokio::spawn(run(stream.compat(), context));
    Rig { pipe, events, outcome, orders, window }
}

fn framed(body: &[u8]) -> Vec<u8> {
    frame::encode(body, SIGNAL_BYTES_MAX).unwrap()
}

fn honest_opening() -> Vec<u8> {
    framed(&opening::encode(&Opening { nonce: [2; 32], listening: vec![] }))
}

impl Rig {
    /// Opens honestly, up to the link; both orders of the admissions work for the other end.
    async fn open(&mut self) {
        self.pipe.write_all(&honest_opening()).await.unwrap();
        self.pipe.write_all(&framed(&[0])).await.unwrap();
        assert!(matches!(self.events.recv().await, Some(Event::LinkUp { .. })));
        for _ in 0..2 {
            self.frame().await;
        }
    }

    async fn frame(&mut self) -> Vec<u8> {
        let length = self.pipe.read_u16_le().await.unwrap();
        let mut body = vec![0; usize::from(length)];
        self.pipe.read_exact(&mut body).await.unwrap();
        body
    }

    /// The reason of the link's end, after the messages before it.
    async fn down(&mut self) -> (Vec<Vec<u8>>, CloseReason) {
        let mut messages = Vec::new();
        loop {
            match self.events.recv().await.unwrap() {
                Event::Message { bytes, .. } => messages.push(bytes),
                Event::LinkDown { reason, .. } => return (messages, reason),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_opening_makes_no_link() {
    let mut version = honest_opening();
    version[2] = 9;
    let too_long = (u16::try_from(OPENING_BYTES_MAX).unwrap() + 1).to_le_bytes().to_vec();
    let verdict = [honest_opening(), framed(&[9])].concat();
    for garbage in [vec![0xff; 300], framed(&[]), framed(b"hello"), version, too_long, verdict] {
        for decides in [true, false] {
            let mut rig = rig(decides, Limits::default());
            rig.pipe.write_all(&garbage).await.unwrap();
            assert_eq!(rig.outcome.await, Ok(Outcome::Failed));
            assert!(rig.events.try_recv().is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_stops_is_given_up() {
    for sent in 0..honest_opening().len() {
        let mut rig = rig(true, Limits::default());
        rig.pipe.write_all(&honest_opening()[..sent]).await.unwrap();
        let began = Instant::now();
        assert_eq!(rig.outcome.await, Ok(Outcome::Failed));
        assert_eq!(began.elapsed(), OPENING_TIMEOUT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_understood() {
    for (byte, admission) in
        [(1, Admission::Duplicate), (2, Admission::NotReachable), (3, Admission::Full)]
    {
        for decides in [true, false] {
            let mut rig = rig(decides, Limits::default());
            rig.pipe.write_all(&honest_opening()).await.unwrap();
            rig.pipe.write_all(&framed(&[byte])).await.unwrap();
            assert_eq!(rig.outcome.await, Ok(Outcome::Refused(admission)));
            assert!(rig.events.try_recv().is_err(), "no link, no event");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_breaks_the_rules_of_a_link_is_told_so() {
    let too_long = (u16::try_from(SIGNAL_BYTES_MAX).unwrap() + 1).to_le_bytes().to_vec();
    for garbage in [too_long, framed(&[]), framed(&[0]), framed(&[7, 1]), framed(&[2, 9])] {
        let mut rig = rig(true, Limits::default());
        rig.open().await;
        let good = framed(&signal::encode_message(b"good"));
        rig.pipe.write_all(&[good, garbage].concat()).await.unwrap();
        assert_eq!(rig.down().await, (vec![b"good".to_vec()], CloseReason::Misbehaved));
        let goodbye = Signal::Goodbye(Farewell::Misbehaved);
        assert_eq!(signal::decode(&rig.frame().await), Ok(goodbye));
        drop(rig.pipe);
        assert_eq!(rig.outcome.await, Ok(Outcome::WasLink(CloseReason::Misbehaved)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_without_a_goodbye_is_a_cut_and_parts_are_discarded() {
    let whole = framed(&signal::encode_message(&[7; 50]));
    for part in 0..whole.len() {
        let mut rig = rig(false, Limits::default());
        rig.open().await;
        rig.pipe.write_all(&[&whole, &whole[..part]].concat()).await.unwrap();
        drop(rig.pipe);
        rig.pipe = tokio::io::duplex(1).0;
        assert_eq!(rig.down().await, (vec![vec![7; 50]], CloseReason::Cut), "{part} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_here_and_ends_the_link_there() {
    let mut rig = rig(true, Limits::default());
    rig.open().await;
    let began = Instant::now();
    for _ in 0..2 {
        assert_eq!(signal::decode(&rig.frame().await), Ok(Signal::KeepAlive));
    }
    assert_eq!(began.elapsed(), 2 * KEEP_ALIVE_INTERVAL);
    assert_eq!(rig.down().await, (vec![], CloseReason::Silent));
    assert_eq!(began.elapsed(), SILENCE_MAX);
}

#[tokio::test(start_paused = true)]
async fn keep_alives_keep_a_link() {
    let mut rig = rig(true, Limits::default());
    rig.open().await;
    for _ in 0..20 {
        sleep(KEEP_ALIVE_INTERVAL).await;
        rig.pipe.write_all(&framed(&Signal::KeepAlive.encode())).await.unwrap();
    }
    rig.pipe.write_all(&framed(&signal::encode_message(b"still"))).await.unwrap();
    rig.pipe.write_all(&framed(&Signal::Goodbye(Farewell::Closed).encode())).await.unwrap();
    assert_eq!(rig.down().await, (vec![b"still".to_vec()], CloseReason::ClosedThere));
}

#[tokio::test(start_paused = true)]
async fn bytes_come_in_at_their_rate() {
    let rate = Rate { per_second: 10_000, burst: 20_000 };
    let mut rig = rig(true, Limits { bytes_per_link: rate, ..Limits::default() });
    rig.open().await;
    let began = Instant::now();
    let flood = framed(&signal::encode_message(&[1; 9_999]));
    let (mut pipe_read, mut pipe_write) = tokio::io::split(rig.pipe);
    tokio::spawn(async move { while pipe_write.write_all(&flood).await.is_ok() {} });
    tokio::spawn(async move { tokio::io::copy(&mut pipe_read, &mut tokio::io::sink()).await });
    for _ in 0..12 {
        assert!(matches!(rig.events.recv().await, Some(Event::Message { .. })));
    }
    // Two at once, the others one per second; each pays for itself before the next.
    assert_eq!(began.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn an_order_to_close_is_polite_and_has_an_end() {
    let mut rig = rig(true, Limits::default());
    rig.open().await;
    rig.window.send(vec![5; 3]).await.unwrap();
    rig.orders.send(Some(CloseReason::ClosedHere)).unwrap();
    assert_eq!(signal::decode(&rig.frame().await), Ok(Signal::Message(vec![5; 3])));
    let goodbye = Signal::Goodbye(Farewell::Closed);
    assert_eq!(signal::decode(&rig.frame().await), Ok(goodbye));
    // The other end does not answer.
    let began = Instant::now();
    assert_eq!(rig.down().await, (vec![], CloseReason::ClosedHere));
    assert!(began.elapsed() <= GOODBYE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_cannot_hold_a_link_open() {
    for reason in [CloseReason::ClosedHere, CloseReason::NotReachable] {
        let mut rig = rig(true, Limits::default());
        rig.open().await;
        for _ in 0..4 {
            rig.window.send(vec![5; 30_000]).await.unwrap();
        }
        rig.orders.send(Some(reason)).unwrap();
        let began = Instant::now();
        assert_eq!(rig.down().await, (vec![], reason));
        let allowed =
            if reason == CloseReason::NotReachable { Duration::ZERO } else { GOODBYE_TIMEOUT };
        assert_eq!(began.elapsed(), allowed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn arbitrary_bytes_at_any_stage_end_in_order(
        open in any::<bool>(),
        decides in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut rig = rig(decides, Limits::default());
            if open {
                rig.open().await;
            }
            // The task may end before it has read everything.
            let _ = rig.pipe.write_all(&bytes).await;
            drop(rig.pipe);
            while rig.events.recv().await.is_some() {}
            assert!(rig.outcome.await.is_ok());
        });
    }
}
