//! `hundi-testnet sync-peer`, as another implementation's test uses it: processes that hear and say
//! lines, and nothing between them but pipes.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hundi-testnet");
const SIDES: [&str; 2] = ["initiator", "responder"];

/// One process, which is ended when it is dropped.
struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start() -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("sync-peer").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// A node of the vectors' network.
    fn of_the_vectors() -> Self {
        let mut peer = Self::start();
        let network = document("vectors/network.json");
        let network: Value = serde_json::from_str(&network).unwrap();
        assert_eq!(peer.ask(&format!("network {}", text(&network["bytes"]))), [""; 0]);
        peer
    }

    /// A side of a session of the vectors, before it opens.
    fn side(row: &Value, side: &str) -> Self {
        let mut peer = Self::of_the_vectors();
        for own in row[side]["own"].as_array().unwrap() {
            let bank = u16::try_from(own["bank"].as_u64().unwrap()).unwrap().to_le_bytes();
            let line = format!("own {}{}", HEXLOWER.encode(&bank), text(&own["key"]));
            assert_eq!(peer.ask(&line), [""; 0]);
        }
        for item in row[side]["items"].as_array().unwrap() {
            let answer = peer.ask(&format!("item {}", text(item)));
            assert!(answer == ["taken stored"] || answer == ["taken cached"], "{answer:?}");
        }
        assert_eq!(peer.digest(), text(&row[side]["digest_before"]));
        peer
    }

    /// Says a line; the lines of the answer without the last.
    fn ask(&mut self, line: &str) -> Vec<String> {
        self.ask_bytes(line.as_bytes())
    }

    fn ask_bytes(&mut self, line: &[u8]) -> Vec<String> {
        let input = self.input.as_mut().unwrap();
        input.write_all(&[line, b"\n"].concat()).unwrap();
        input.flush().unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ended: {lines:?}");
            assert_eq!(line.pop(), Some('\n'));
            if line == "." {
                return lines;
            }
            lines.push(line);
        }
    }

    fn digest(&mut self) -> String {
        let answer = self.ask("digest");
        assert_eq!(answer.len(), 1);
        answer[0].strip_prefix("digest ").unwrap().to_owned()
    }

    /// What is held, as lines that another process takes.
    fn items(&mut self) -> BTreeSet<String> {
        self.ask("items").into_iter().collect()
    }

    /// Closes its input; its exit status, and that it says nothing more.
    fn end(mut self) -> Option<i32> {
        self.input = None;
        let mut rest = String::new();
        assert_eq!(self.output.read_line(&mut rest).unwrap(), 0, "{rest}");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already, which is what most tests wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn document(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

fn sessions() -> Vec<Value> {
    let mut sync: Value = serde_json::from_str(&document("vectors/sync.json")).unwrap();
    sync["sessions"].as_array_mut().unwrap().drain(..).collect()
}

fn opening(row: &Value, side: &str) -> String {
    let force = if row[side]["force"] == true { " force" } else { "" };
    let differs = if side == SIDES[0] && row["differs"] == true { " differs" } else { "" };
    format!("open {side} {}{force}{differs}", text(&row["handshake_hash"]))
}

/// Carries messages between two processes until both are silent: how many each said, and what it
/// came to.
fn carry(peers: &mut [Peer; 2], openings: [&str; 2]) -> ([usize; 2], [Option<String>; 2]) {
    let (mut said, mut done) = ([0; 2], [None, None]);
    let mut waiting: VecDeque<(usize, String)> = VecDeque::new();
    // The responder is there first.
    for side in [1, 0] {
        let answer = peers[side].ask(openings[side]);
        waiting.extend(answer.into_iter().map(|line| (side, line)));
    }
    while let Some((side, line)) = waiting.pop_front() {
        match line.split_once(' ').unwrap() {
            ("message", _) => {
                said[side] += 1;
                let answer = peers[1 - side].ask(&line);
                waiting.extend(answer.into_iter().map(|line| (1 - side, line)));
            }
            ("done", in_sync) => {
                assert_eq!(done[side].replace(in_sync.to_owned()), None, "done twice");
            }
            ("taken", status) => assert_ne!(status, "unverified"),
            _ => panic!("{line}"),
        }
    }
    (said, done)
}

fn both_in_sync() -> [Option<String>; 2] {
    [Some("true".to_owned()), Some("true".to_owned())]
}

#[test]
fn two_processes_become_equal_through_pipes() {
    let sessions = sessions();
    let rows = sessions.iter().filter(|row| row["lost"] == json!([]));
    for row in rows {
        let openings = SIDES.map(|side| opening(row, side));
        let mut peers = SIDES.map(|side| Peer::side(row, side));
        let (said, done) = carry(&mut peers, [&openings[0], &openings[1]]);
        assert_eq!(done, both_in_sync(), "{}", row["name"]);
        assert_eq!(said.iter().sum::<usize>(), row["transcript"].as_array().unwrap().len());
        let digests = peers.each_mut().map(Peer::digest);
        assert_eq!(digests[0], digests[1]);
        // Once more on this link: nothing is left to say but that it is so.
        let again = openings[0].replace(" force", "").replace(" differs", "");
        let (said, done) = carry(&mut peers, [&again, &openings[1]]);
        assert_eq!((said, done), ([1, 1], both_in_sync()), "{}", row["name"]);
        assert_eq!(peers.map(Peer::end), [Some(0); 2]);
    }
}

/// The process says what the session of the vectors says on this side, and ends as it does.
fn replay(row: &Value, side: &str, mut before: impl FnMut(&mut Peer, usize)) {
    let mut peer = Peer::side(row, side);
    let lost: Vec<usize> = serde_json::from_value(row["lost"].clone()).unwrap();
    let mut answers: VecDeque<String> = peer.ask(&opening(row, side)).into();
    let mut done = Value::Null;
    for (at, message) in row["transcript"].as_array().unwrap().iter().enumerate() {
        let line = format!("message {}", text(&message["bytes"]));
        if message["from"] == side {
            let said = answers.pop_front();
            assert_eq!(said.as_ref(), Some(&line), "{side}, message {at} of {}", row["name"]);
        } else if !lost.contains(&at) {
            before(&mut peer, at);
            for answer in peer.ask(&line) {
                match answer.split_once(' ').unwrap() {
                    ("message", _) => answers.push_back(answer),
                    ("taken", _) => assert_eq!(message["message"], "item", "{answer}"),
                    ("done", in_sync) => done = (in_sync == "true").into(),
                    _ => panic!("{answer}"),
                }
            }
        }
    }
    assert_eq!(answers, [""; 0], "{side} of {} says more", row["name"]);
    assert_eq!(done, row[side]["in_sync"], "{side} of {}", row["name"]);
    assert_eq!(peer.digest(), text(&row[side]["digest_after"]));
}

#[test]
fn every_session_of_the_vectors_is_replayed_byte_for_byte() {
    let sessions = sessions();
    assert!(sessions.len() >= 14);
    for row in &sessions {
        SIDES.into_iter().for_each(|side| replay(row, side, |_, _| {}));
    }
}

/// Lines that are refused, with how the answer begins.
fn bad_lines() -> Vec<(Vec<u8>, &'static str)> {
    let text = [
        ("", "error no such command"),
        ("Digest", "error no such command"),
        ("digest ", "error no such command"),
        ("message", "error no such command"),
        ("message 0", "error bytes are"),
        ("message AA", "error bytes are"),
        ("item 00", "error item: item tag 0"),
        ("item 0201", "error item: "),
        ("own 00", "error an author is 34 bytes"),
        ("open initiator 00", "error a handshake hash is 32 bytes"),
        ("scope 1 80", "error own and scope come before"),
        ("network 00", "error there is a network already"),
    ];
    let mut lines: Vec<_> = text.map(|(line, error)| (line.as_bytes().to_vec(), error)).into();
    lines.push((b"item \xff".to_vec(), "error the line is not UTF-8"));
    let long = vec![b'0'; hundi_testnet::sync_peer::LINE_BYTES_MAX + 1];
    lines.push((long.clone(), "error a line has at most"));
    lines.push(([&long[..], &long, &long].concat(), "error a line has at most"));
    lines
}

#[test]
fn bad_lines_are_answered_and_lose_nothing() {
    let bad = bad_lines();
    let sessions = sessions();
    for side in SIDES {
        replay(&sessions[0], side, |peer, _| {
            for (line, error) in &bad {
                let answer = peer.ask_bytes(line);
                assert!(answer.len() == 1 && answer[0].starts_with(error), "{answer:?}, {error}");
            }
        });
    }
    let mut peer = Peer::start();
    assert_eq!(peer.ask("digest"), ["error the network comes first"]);
    assert_eq!(peer.ask("network 00"), ["error network: record version 0 is not known"]);
}

#[test]
fn a_session_that_the_peer_breaks_is_over_and_the_next_one_is_not() {
    let sessions = sessions();
    let row = &sessions[0];
    let mut peer = Peer::side(row, SIDES[1]);
    assert_eq!(peer.ask("message 0400"), ["error open a session first"]);
    let open = opening(row, SIDES[1]);
    assert_eq!(peer.ask(&open), [""; 0]);
    // Left over from a session before.
    assert_eq!(peer.ask("message 0400"), ["ignored"]);
    let first = format!("message {}", text(&row["transcript"][0]["bytes"]));
    let answer = peer.ask(&first);
    assert!(answer.len() > 1);
    for broken in ["63", "", "0403", "06"] {
        let over = peer.ask(&format!("message {broken}"));
        assert!(over[0].starts_with("error session: ") && over[1..] == ["done false"], "{over:?}");
        assert_eq!(peer.ask("message 0400"), ["ignored"]);
        // An opening of the other side begins another session, also while one runs.
        assert_eq!(peer.ask(&first), answer);
        assert_eq!(peer.ask(&first), answer);
    }
    assert_eq!(peer.digest(), text(&row["responder"]["digest_before"]));
    // Items come at any time.
    let item = text(&row["initiator"]["items"][0]);
    assert_eq!(peer.ask(&format!("message 05{item}")), ["taken known"]);
    let mut forged = item.to_owned();
    forged.replace_range(forged.len() - 2.., "00");
    let answer = peer.ask(&format!("message 05{forged}"));
    assert!(answer.len() == 1 && answer[0].starts_with("error item: "), "{answer:?}");
    // The responder must not open.
    let mut peer = Peer::side(row, SIDES[0]);
    peer.ask(&opening(row, SIDES[0]));
    assert_eq!(peer.ask(&first), ["error session: a message that is not due", "done false"]);
    assert_eq!(peer.ask("quit"), [""; 0]);
    assert_eq!(peer.end(), Some(0));
}

#[test]
fn a_scope_keeps_its_range_and_its_own() {
    let sessions = sessions();
    let row = sessions.iter().find(|row| text(&row["name"]).starts_with("large")).unwrap();
    let open = [opening(row, SIDES[0]), opening(row, SIDES[1])];
    let mut full = Peer::side(row, SIDES[0]);
    let mut halves = Vec::new();
    for half in ["scope 1 00", "scope 1 80"] {
        let mut small = Peer::of_the_vectors();
        assert_eq!(small.ask(half), [""; 0]);
        let mut peers = [full, small];
        let (_, done) = carry(&mut peers, [&open[0], &open[1]]);
        assert_eq!(done, both_in_sync());
        [full, small] = peers;
        halves.push(small.items());
    }
    let whole = full.items();
    let both: BTreeSet<_> = halves[0].union(&halves[1]).cloned().collect();
    assert_eq!(both, whole);
    // The bank's certificate is everybody's.
    assert_eq!(halves[0].intersection(&halves[1]).count(), 1);
    // What is held is what another process takes.
    let mut copy = Peer::of_the_vectors();
    whole.iter().for_each(|line| assert_eq!(copy.ask(line), ["taken stored"]));
    assert_eq!(copy.digest(), full.digest());
}

/// The transcript in the page is what happens. Lines that go in begin with `>`.
#[test]
fn the_page_shows_what_happens() {
    let page = document("how-to/test-another-sync.md");
    let shown = page.split("```").find(|block| block.starts_with("transcript\n")).unwrap();
    let mut peer = Peer::start();
    let (mut answers, mut lines) = (VecDeque::new(), 0);
    for line in shown.lines().skip(1) {
        match line.split_once(' ') {
            Some((">", line)) => {
                assert_eq!(answers, [""; 0], "before {line}");
                answers = peer.ask(line).into();
                answers.push_back(".".to_owned());
                lines += 1;
            }
            Some(("<", line)) => assert_eq!(answers.pop_front().as_deref(), Some(line)),
            _ => panic!("{line}"),
        }
    }
    assert!(answers.is_empty() && lines > 5);
    assert_eq!(peer.end(), Some(0));
}
