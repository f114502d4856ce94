//! Answers that lie: what a hostile or broken name server sends, message by message.

use std::net::{IpAddr, Ipv4Addr};

use super::Kind;
use super::wire::{Question, Record};

/// How a name's server lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// First this address under another id, as somebody who guesses would, then the true one.
    WrongId { lie: Ipv4Addr, truth: Ipv4Addr },
    /// First an answer to another question, then the true one.
    WrongQuestion { lie: Ipv4Addr, truth: Ipv4Addr },
    /// The true address, and beside it this address for another name.
    Bailiwick {
        victim: String,
        lie: Ipv4Addr,
        truth: Ipv4Addr,
    },
    /// The address of another name alone.
    OtherOwner(Ipv4Addr),
    /// So many aliases in a row, then this address.
    Chain(usize, Ipv4Addr),
    /// Two aliases of each other.
    Loop,
    /// So many times this address; over UDP the wish to be asked over TCP.
    Many(usize, Ipv4Addr),
    /// A header that promises records, and none.
    Cut,
    /// A name that points to itself.
    PointerLoop,
    /// Bytes that are no message.
    Garbage,
}

impl Forgery {
    /// What to send, in order.
    pub(super) fn messages(&self, question: &Question, ttl_s: u32, tcp: bool) -> Vec<Vec<u8>> {
        let address = |owner: Option<&str>, address: Ipv4Addr| {
            (question.kind == Kind::A).then(|| Record::address(owner, IpAddr::V4(address), ttl_s))
        };
        let one = |given: Ipv4Addr| question.with_records(address(None, given), []);
        match self {
            Self::WrongId { lie, truth } => {
                let mut wrong = one(*lie);
                wrong[0] ^= 0x55;
                vec![wrong, one(*truth)]
            }
            Self::WrongQuestion { lie, truth } => {
                let mut wrong = one(*lie);
                // The first letter of the name.
                wrong[13] ^= 0x01;
                vec![wrong, one(*truth)]
            }
            Self::Bailiwick { victim, lie, truth } => {
                let beside = Record::address(Some(victim), IpAddr::V4(*lie), ttl_s);
                let answers = [address(None, *truth), address(Some(victim), *lie)];
                vec![question.with_records(answers.into_iter().flatten(), [beside])]
            }
            Self::OtherOwner(given) => {
                vec![question.with_records(address(Some("other.example"), *given), [])]
            }
            Self::Chain(length, given) => {
                let link = |n: usize| format!("c{n}.chain.test");
                let first = Record::alias(None, &link(0), ttl_s);
                let rest = (1..*length).map(|n| Record::alias(Some(&link(n - 1)), &link(n), ttl_s));
                let end = address(Some(&link(length.saturating_sub(1))), *given);
                vec![question.with_records([first].into_iter().chain(rest).chain(end), [])]
            }
            Self::Loop => {
                let there = Record::alias(None, "loop.test", ttl_s);
                let back = Record::alias(Some("loop.test"), &question.name, ttl_s);
                vec![question.with_records([there, back], [])]
            }
            Self::Many(count, given) if tcp => {
                let records = (0..*count).filter_map(|_| address(None, *given));
                vec![question.with_records(records, [])]
            }
            Self::Many(..) => vec![question.truncated()],
            Self::Cut => {
                let mut message = one(Ipv4Addr::LOCALHOST);
                message.truncate(message.len() - 3);
                message[7] = 200;
                vec![message]
            }
            Self::PointerLoop => {
                let mut message = question.with_records([], []);
                message[7] = 1;
                // Where this name begins, and that is all it is.
                let here = u16::try_from(message.len()).unwrap_or(0) | 0xc000;
                message.extend(here.to_be_bytes());
                message.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
                vec![message]
            }
            Self::Garbage => vec![
                vec![0xff; 300],
                Vec::new(),
                b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            ],
        }
    }
}
