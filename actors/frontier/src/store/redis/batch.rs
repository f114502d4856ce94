//! What goes to the shards together: work of many verbs, merged into few calls, its answers given back to each.
//!
//! Owns the form of `lua/apply.lua`'s arguments and answer. It knows no connection. Invariants: an [`Unit`] is never
//! split, so that a page is settled in the same step as its links of the same shard go in; a call carries at most
//! [`LINKS_MAX`] links and [`SETTLES_MAX`] settles, unless one unit alone has more. Start at [`calls`].

use std::collections::{HashMap, HashSet};

use contract::host::Host;
use contract::lease::{Strikes, Token};
use contract::settle::Settled;
use redis::{Cmd, Value};

use super::cold::Long;
use super::limit::Tally;

/// Links in one call: about a millisecond of the server.
pub(super) const LINKS_MAX: usize = 500;
/// Settles in one call.
pub(super) const SETTLES_MAX: usize = 64;

/// A link as a shard takes it.
#[derive(Clone, Debug)]
pub(super) struct LinkArg {
    pub(super) class: u8,
    pub(super) bucket: u32,
    pub(super) member: i32,
    pub(super) element: Vec<u8>,
    /// Known by spelling too: as a seed, by force.
    pub(super) exact: Option<(Box<str>, bool, bool)>,
    /// Queued though it was done.
    pub(super) again: Option<WasKept>,
}

/// Whether a URL that is reopened counts as kept.
pub(super) type WasKept = bool;

/// What is done with a settled URL.
#[derive(Clone, Debug)]
pub(super) enum FateArg {
    Done { kept: bool, bytes: u64 },
    Retry { tries: u8, wait_us: u64 },
    Back,
}

/// One thing to do in a shard.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Links {
        host: Host,
        links: Vec<LinkArg>,
    },
    Robots {
        host: Host,
        https: bool,
        port: u16,
        record: Vec<u8>,
    },
    Settle {
        host: Host,
        token: Token,
        position: u32,
        fate: FateArg,
    },
    Extend {
        host: Host,
        token: Token,
    },
    Release {
        host: Host,
        token: Token,
        handed: usize,
        ago_us: Option<u64>,
    },
    Schedule {
        host: Host,
        delay_ms: Option<u64>,
        rest_ms: Option<u64>,
        strikes: Option<Strikes>,
    },
}

/// What goes into one call whole.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) shard: u16,
    pub(super) ops: Vec<Op>,
}

/// A verb's work: `before` is answered by all shards before any of `then` is sent.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// How often the connection had broken when it was decided which links need not be sent.
    pub(super) breaks: u64,
    pub(super) before: Vec<Unit>,
    pub(super) then: Vec<Unit>,
}

/// What became of a request.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Links that were new.
    pub(super) new: u64,
    /// How its settle was taken, if it had one.
    pub(super) settled: Option<Settled>,
    pub(super) extended: bool,
}

/// What a call tells that no request asked for.
pub(super) struct Beside {
    /// Leases of suspects that it ended.
    pub(super) ended: Vec<(Host, Token)>,
    /// How many positions it closed.
    pub(super) tally: Tally,
    /// Queues whose tail is long now.
    pub(super) long: Vec<Long>,
    /// A node without any lease waits for one.
    pub(super) is_hungry: bool,
}

/// One call of the script: the operations of a shard, each with the request it is of.
pub(super) struct Call {
    pub(super) shard: u16,
    ops: Vec<(usize, Op)>,
    links: usize,
    settles: usize,
}

/// Merges units, each with the number of its request, into calls; if `apart`, none has both units that take room and
/// others.
pub(super) fn calls(units: impl IntoIterator<Item = (usize, Unit)>, apart: bool) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<(u16, bool), usize> = HashMap::new();
    for (request, unit) in units {
        let place = (unit.shard, apart && unit.ops.iter().any(Op::takes_room));
        let (mut links, mut settles) = (0, 0);
        for op in &unit.ops {
            match op {
                Op::Links { links: more, .. } => links += more.len(),
                Op::Settle { .. } => settles += 1,
                _ => {}
            }
        }
        let fits =
            |call: &Call| call.links + links <= LINKS_MAX && call.settles + settles <= SETTLES_MAX;
        let at = match open.get(&place) {
            Some(&at) if fits(&calls[at]) => at,
            _ => {
                calls.push(Call {
                    shard: unit.shard,
                    ops: Vec::new(),
                    links: 0,
                    settles: 0,
                });
                open.insert(place, calls.len() - 1);
                calls.len() - 1
            }
        };
        let call = &mut calls[at];
        call.links += links;
        call.settles += settles;
        call.ops
            .extend(unit.ops.into_iter().map(|op| (request, op)));
    }
    calls
}

impl Op {
    fn is_kept(&self) -> bool {
        let Self::Settle { fate, .. } = self else {
            return false;
        };
        matches!(fate, FateArg::Done { kept: true, .. })
    }

    pub(super) fn host(&self) -> &Host {
        match self {
            Self::Links { host, .. }
            | Self::Robots { host, .. }
            | Self::Settle { host, .. }
            | Self::Extend { host, .. }
            | Self::Release { host, .. }
            | Self::Schedule { host, .. } => host,
        }
    }

    fn takes_room(&self) -> bool {
        matches!(self, Self::Links { .. } | Self::Robots { .. })
    }
}

impl Call {
    /// The links that it carried.
    pub(super) fn into_links(self) -> Unit {
        let ops = self.ops.into_iter().map(|(_, op)| op);
        Unit {
            shard: self.shard,
            ops: ops.filter(|op| matches!(op, Op::Links { .. })).collect(),
        }
    }

    /// The requests that have a part in it.
    pub(super) fn requests(&self) -> impl Iterator<Item = usize> + '_ {
        self.ops.iter().map(|(request, _)| *request)
    }

    /// Whether it makes the store larger.
    pub(super) fn takes_room(&self) -> bool {
        self.ops.iter().any(|(_, op)| op.takes_room())
    }

    /// Its arguments, behind those that hold for all calls.
    pub(super) fn write(&self, cmd: &mut Cmd) {
        let mut places: HashMap<&Host, usize> = HashMap::new();
        let mut hosts: Vec<&Host> = Vec::new();
        for (_, op) in &self.ops {
            places.entry(op.host()).or_insert_with(|| {
                hosts.push(op.host());
                hosts.len()
            });
        }
        let others = self.ops.iter().map(|(_, op)| op);
        let others = others.filter(|op| !matches!(op, Op::Links { .. }));
        let read: HashSet<&Host> = others.map(Op::host).collect();
        cmd.arg(hosts.len());
        for host in hosts {
            let domain = i64::try_from(host.domain().len()).unwrap_or(i64::MAX);
            let sign = if read.contains(host) { 1 } else { -1 };
            cmd.arg(host.as_str()).arg(sign * domain);
        }
        let place = |host: &Host| places.get(host).copied().unwrap_or(0);
        let count = |is: fn(&Op) -> bool| self.ops.iter().filter(|(_, op)| is(op)).count();
        cmd.arg(count(|op| matches!(op, Op::Links { .. })));
        for (_, op) in &self.ops {
            if let Op::Links { host, links } = op {
                cmd.arg(place(host)).arg(links.len());
                links.iter().for_each(|link| link.write(cmd));
            }
        }
        cmd.arg(count(|op| matches!(op, Op::Robots { .. })));
        for (_, op) in &self.ops {
            if let Op::Robots {
                host,
                https,
                port,
                record,
            } = op
            {
                cmd.arg(place(host))
                    .arg(u8::from(*https))
                    .arg(*port)
                    .arg(&record[..]);
            }
        }
        cmd.arg(count(|op| matches!(op, Op::Settle { .. })));
        for (_, op) in &self.ops {
            if let Op::Settle {
                host,
                token,
                position,
                fate,
                ..
            } = op
            {
                cmd.arg(place(host)).arg(token.0).arg(*position);
                fate.write(cmd);
            }
        }
        cmd.arg(count(|op| matches!(op, Op::Extend { .. })));
        for (_, op) in &self.ops {
            if let Op::Extend { host, token } = op {
                cmd.arg(place(host)).arg(token.0);
            }
        }
        cmd.arg(count(|op| matches!(op, Op::Release { .. })));
        for (_, op) in &self.ops {
            if let Op::Release {
                host,
                token,
                handed,
                ago_us,
            } = op
            {
                cmd.arg(place(host)).arg(token.0).arg(*handed);
                or_none(cmd, *ago_us);
            }
        }
        cmd.arg(count(|op| matches!(op, Op::Schedule { .. })));
        for (_, op) in &self.ops {
            if let Op::Schedule {
                host,
                delay_ms,
                rest_ms,
                strikes,
            } = op
            {
                cmd.arg(place(host));
                or_none(cmd, *delay_ms);
                or_none(cmd, *rest_ms);
                or_none(cmd, strikes.map(|strikes| strikes.unreached.into()));
                let Strikes { refused, last, .. } = strikes.unwrap_or_default();
                cmd.arg(refused).arg(last.0);
            }
        }
    }

    /// Gives each request its part of the script's answer, and returns what else it tells; none if the answer is not of
    /// its form.
    pub(super) fn read(&self, answer: Value, answers: &mut [Answer]) -> Option<Beside> {
        type Raw = (
            String,
            Vec<u64>,
            Vec<String>,
            Vec<u8>,
            Vec<String>,
            Vec<u64>,
            Vec<String>,
            u8,
        );
        let (_, new, settled, extended, ended, backs, long, hungry): Raw =
            redis::from_redis_value(answer).ok()?;
        let of = |is: fn(&Op) -> bool| self.ops.iter().filter(move |(_, op)| is(op));
        for ((request, _), new) in of(|op| matches!(op, Op::Links { .. })).zip(new) {
            answers[*request].new += new;
        }
        let mut tally = Tally {
            kept: 0,
            over: backs.iter().sum(),
        };
        for ((request, op), settled) in of(|op| matches!(op, Op::Settle { .. })).zip(settled) {
            let settled = match settled.as_str() {
                "A" => Settled::Applied,
                "D" => Settled::Duplicate,
                "F" => Settled::Fenced,
                _ => return None,
            };
            answers[*request].settled = Some(settled);
            if settled == Settled::Applied {
                tally.over += 1;
                tally.kept += u64::from(op.is_kept());
            }
        }
        for ((request, _), extended) in of(|op| matches!(op, Op::Extend { .. })).zip(extended) {
            answers[*request].extended = extended == 1;
        }
        let lease =
            |pair: &[String]| Some((Host::from_stored(&pair[0]), Token(pair[1].parse().ok()?)));
        let class = |pair: &[String]| Some((pair[0].clone(), pair[1].parse().ok()?));
        Some(Beside {
            tally,
            ended: ended.chunks_exact(2).map(lease).collect::<Option<_>>()?,
            long: long.chunks_exact(2).map(class).collect::<Option<_>>()?,
            is_hungry: hungry == 1,
        })
    }
}

fn or_none(cmd: &mut Cmd, value: Option<u64>) {
    match value {
        Some(value) => cmd.arg(value),
        None => cmd.arg(-1),
    };
}

impl LinkArg {
    fn write(&self, cmd: &mut Cmd) {
        match &self.exact {
            None => {
                match self.again {
                    Some(true) => cmd.arg(format!("{}ak", self.class)),
                    Some(false) => cmd.arg(format!("{}a", self.class)),
                    None => cmd.arg(self.class),
                };
                cmd.arg(self.bucket).arg(self.member).arg(&self.element[..]);
            }
            Some((url, seed, force)) => {
                let mut flags = self.class.to_string();
                flags.extend(seed.then_some('s'));
                flags.extend(force.then_some('f'));
                cmd.arg(flags)
                    .arg(self.bucket)
                    .arg(self.member)
                    .arg(&self.element[..])
                    .arg(&**url);
            }
        }
    }
}

impl FateArg {
    fn write(&self, cmd: &mut Cmd) {
        match self {
            Self::Done { kept, bytes } => {
                cmd.arg("D").arg(u8::from(*kept)).arg(*bytes).arg(0).arg(0)
            }
            Self::Retry { tries, wait_us } => cmd.arg("T").arg(0).arg(0).arg(*tries).arg(*wait_us),
            Self::Back => cmd.arg("B").arg(0).arg(0).arg(0).arg(0),
        };
    }
}
