//! One side of sync sessions on standard input and output, for people who write another
//! implementation of the protocol and want to try it against this one.
//!
//! A script in any language starts `hundi-testnet sync-peer`, gives it items, has it open a session
//! and carries the messages between it and the implementation under test. Every line that comes in
//! has one answer, which ends with a line that is a full stop. There is no clock and no chance in
//! it: the same lines get the same answers. What may be said is in
//! `docs/how-to/test-another-sync.md`; `command` reads it, `peer` does it.

mod command;
mod peer;

use command::{Command, LineError};
use peer::Peer;
use std::fmt::Arguments;
use std::io::{self, BufRead, Read, Write};

/// Bytes of a line at most, besides its end. The longest honest one is a network definition of
/// 1,024 banks: 101,452 bytes in two digits each.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// Answers every line of `input` on `output` until the input ends or a line says `quit`.
///
/// # Errors
/// When input or output fail.
pub fn run(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut peer = None;
    while let Some(line) = next_line(&mut input)? {
        let mut answer = Answer::default();
        let command = line.and_then(|line| Command::parse(&line));
        let quits = matches!(command, Ok(Command::Quit));
        let told = command.and_then(|command| Peer::carry_out(&mut peer, command, &mut answer));
        if let Err(error) = told {
            answer.line(format_args!("error {error}"));
        }
        answer.line(format_args!("."));
        output.write_all(answer.0.as_bytes())?;
        output.flush()?;
        if quits {
            break;
        }
    }
    Ok(())
}

/// The next line without its end, or nothing when the input has ended. One that is too long is read
/// to its end and refused.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, LineError>>> {
    let mut line = Vec::new();
    let bytes_max = LINE_BYTES_MAX as u64 + 1;
    if input.by_ref().take(bytes_max).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > LINE_BYTES_MAX {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(LineError::TooLong)));
    }
    Ok(Some(Ok(line)))
}

/// The lines of one answer.
#[derive(Default)]
struct Answer(String);

impl Answer {
    fn line(&mut self, line: Arguments<'_>) {
        self.0.push_str(&format!("{line}\n"));
    }
}
