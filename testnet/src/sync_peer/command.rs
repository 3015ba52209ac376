//! The lines that come in: words and lowercase hexadecimal, with one space between. One command has
//! one spelling, as in the records.

use data_encoding::HEXLOWER;
use hundi_ledger::codec::{self, DecodeError};
use hundi_ledger::id::AuthorId;
use hundi_ledger::replica::range::Range;
use hundi_ledger::trust::VerifyError;
use thiserror::Error;

/// Bytes of an author.
const AUTHOR_BYTES: usize = 34;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// The bytes of the definition.
    Network(Vec<u8>),
    Own(AuthorId),
    Scope(Range),
    /// The bytes of an item.
    Item(Vec<u8>),
    Open(Opening),
    /// A message of the other side.
    Message(Vec<u8>),
    Digest,
    Items,
    Quit,
}

/// How a session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) initiator: bool,
    pub(super) handshake_hash: [u8; 32],
    /// Reconcile even if the values are equal.
    pub(super) force: bool,
    /// The initiator knows that the cores differ.
    pub(super) differs: bool,
}

/// Why a line is not carried out. Nothing has changed; say it another way, or something else first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum LineError {
    /// Longer than any command.
    #[error("a line has at most {} bytes", super::LINE_BYTES_MAX)]
    TooLong,
    /// Not UTF-8.
    #[error("the line is not UTF-8")]
    NotText,
    /// No command, or not with the fields that it has.
    #[error("no such command, or not these fields")]
    Unknown,
    /// A field that is to be bytes.
    #[error("bytes are pairs of lowercase hexadecimal digits")]
    Hex,
    /// A field that is to be an author.
    #[error("an author is 34 bytes: bank, key")]
    Author,
    /// Fields that are to be a range.
    #[error("a range is 0 to 64 bits and their bytes, zero beyond these bits")]
    Range,
    /// A field that is to be a handshake hash.
    #[error("a handshake hash is 32 bytes")]
    HandshakeHash,
    /// Only an initiator sends symbols with its opening.
    #[error("differs is for the initiator")]
    Differs,
    /// Any line before the network.
    #[error("the network comes first")]
    NoNetwork,
    /// A second network.
    #[error("there is a network already")]
    NetworkTwice,
    /// What the node is told too late.
    #[error("own and scope come before the first item and the first session")]
    TooLate,
    /// A message before the first opening.
    #[error("open a session first")]
    NoSession,
    /// Not a network definition.
    #[error("network: {0}")]
    Network(DecodeError),
    /// Not an item.
    #[error("item: {0}")]
    Item(#[from] DecodeError),
    /// An item that does not verify, or not yet.
    #[error("item: {0}")]
    Verify(#[from] VerifyError),
}

impl Command {
    /// Reads a line without its end.
    pub(super) fn parse(line: &[u8]) -> Result<Self, LineError> {
        let line = str::from_utf8(line).map_err(|_| LineError::NotText)?;
        let fields: Vec<&str> = line.split(' ').collect();
        Ok(match fields.as_slice() {
            ["network", definition] => Command::Network(bytes(definition)?),
            ["own", author] => {
                let author = codec::decode(&bytes(author)?, AUTHOR_BYTES);
                Command::Own(author.map_err(|_| LineError::Author)?)
            }
            ["scope", bits, prefix @ ..] => Command::Scope(range(bits, prefix)?),
            ["item", item] => Command::Item(bytes(item)?),
            ["open", side, hash, flags @ ..] => Command::Open(opening(side, hash, flags)?),
            ["message", message] => Command::Message(bytes(message)?),
            ["digest"] => Command::Digest,
            ["items"] => Command::Items,
            ["quit"] => Command::Quit,
            _ => return Err(LineError::Unknown),
        })
    }
}

fn bytes(field: &str) -> Result<Vec<u8>, LineError> {
    HEXLOWER.decode(field.as_bytes()).map_err(|_| LineError::Hex)
}

/// A range as in messages: the prefix has as many bytes as its bits need, and no field if that is
/// none.
fn range(bits: &str, prefix: &[&str]) -> Result<Range, LineError> {
    let number: u8 = bits.parse().map_err(|_| LineError::Range)?;
    let prefix = match prefix {
        [] => Vec::new(),
        [prefix] if !prefix.is_empty() => bytes(prefix)?,
        _ => return Err(LineError::Unknown),
    };
    let mut first = [0; 8];
    let spelt = number.to_string() == bits && prefix.len() == usize::from(number.div_ceil(8));
    let place = first.get_mut(..prefix.len()).filter(|_| spelt).ok_or(LineError::Range)?;
    place.copy_from_slice(&prefix);
    Range::new(number, u64::from_be_bytes(first)).ok_or(LineError::Range)
}

fn opening(side: &str, hash: &str, flags: &[&str]) -> Result<Opening, LineError> {
    let initiator = match side {
        "initiator" => true,
        "responder" => false,
        _ => return Err(LineError::Unknown),
    };
    let (force, differs) = match flags {
        [] => (false, false),
        ["force"] => (true, false),
        ["differs"] => (false, true),
        ["force", "differs"] => (true, true),
        _ => return Err(LineError::Unknown),
    };
    if differs && !initiator {
        return Err(LineError::Differs);
    }
    let handshake_hash = bytes(hash)?.try_into().map_err(|_| LineError::HandshakeHash)?;
    Ok(Opening { initiator, handshake_hash, force, differs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, LineError> {
        Command::parse(line.as_bytes())
    }

    #[test]
    fn one_command_has_one_spelling() {
        let hash = "07".repeat(32);
        let opening = |force, differs| {
            Ok(Command::Open(Opening { initiator: true, handshake_hash: [7; 32], force, differs }))
        };
        assert_eq!(parse("digest"), Ok(Command::Digest));
        assert_eq!(parse("item "), Ok(Command::Item(vec![])));
        assert_eq!(parse("message 0aff"), Ok(Command::Message(vec![10, 255])));
        assert_eq!(parse(&format!("open initiator {hash}")), opening(false, false));
        assert_eq!(parse(&format!("open initiator {hash} force differs")), opening(true, true));
        assert_eq!(parse("scope 0"), Ok(Command::Scope(Range::ALL)));
        assert_eq!(parse("scope 9 ff80"), Ok(Command::Scope(Range::around(9, u64::MAX))));
        let refused = [
            ("", LineError::Unknown),
            ("digest ", LineError::Unknown),
            ("Digest", LineError::Unknown),
            (" digest", LineError::Unknown),
            ("digest\r", LineError::Unknown),
            ("item", LineError::Unknown),
            ("item  00", LineError::Unknown),
            ("item 0A", LineError::Hex),
            ("item 0", LineError::Hex),
            ("own 00", LineError::Author),
            ("scope 0 ", LineError::Unknown),
            ("scope 00", LineError::Range),
            ("scope +1 80", LineError::Range),
            ("scope 1", LineError::Range),
            ("scope 1 c0", LineError::Range),
            ("scope 1 8000", LineError::Range),
            ("scope 72 000000000000000000", LineError::Range),
            ("scope 64 0000000000000000 00", LineError::Unknown),
            ("open somebody 00", LineError::Unknown),
            ("open initiator 00", LineError::HandshakeHash),
        ];
        for (line, error) in refused {
            assert_eq!(parse(line), Err(error), "{line:?}");
        }
        assert_eq!(parse(&format!("open responder {hash} differs")), Err(LineError::Differs));
        assert_eq!(parse(&format!("open initiator {hash} differs force")), Err(LineError::Unknown));
        assert_eq!(Command::parse(b"item \xff"), Err(LineError::NotText));
    }
}
