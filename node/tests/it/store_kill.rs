//! kill -9 of a writing process at random moments: nothing acknowledged is lost, and the store opens every time.

use std::time::Duration;

use hundi_node::store::Barrier;

use crate::store_writer::{Model, Random, Writer};

#[test]
fn nothing_acknowledged_is_lost_to_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (mut model, mut random, mut compactions) = (Model::default(), Random(9), 0);
    for round in 0..24 {
        let mut writer = Writer::start(dir.path(), Barrier::Full, model.batches(), None);
        // The moment is random on purpose: whichever it is, the verdict below must hold.
        writer.hear_acknowledged(1 + random.below(150));
        std::thread::sleep(Duration::from_micros(random.below(3000)));
        let said = writer.kill();
        assert_eq!(said.failed, None, "round {round}");
        compactions += said.compactions;
        model.verify(dir.path(), &said).unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    assert!(model.batches() > 500 && compactions > 0, "{} {compactions}", model.batches());
}
