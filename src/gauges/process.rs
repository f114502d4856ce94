//! What the kernel says of this process and of its network: memory, descriptors, sockets, threads.
//!
//! Owns the reading of `/proc`. It knows neither rooms nor limits. Every figure is optional: on a machine whose `/proc`
//! looks otherwise it is missing and nothing else goes wrong. What is read is bounded. Start at [`Process::read`].

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use storage::warc::writer::OPEN_SUFFIX;

/// The table of sockets may be long; beyond this it is not read, and sockets are not told apart by state.
const TABLE_BYTES_MAX: u64 = 8 << 20;
/// States of TCP by their number in `/proc/net/tcp` (include/net/tcp_states.h).
const STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

/// The figures of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Memory in bytes: resident, of it not backed by a file, and swapped out.
    pub resident: Option<u64>,
    pub anonymous: Option<u64>,
    pub swapped: Option<u64>,
    pub threads: Option<u64>,
    pub open: Option<Open>,
    /// The soft limit of open descriptors.
    pub descriptors_max: Option<u64>,
    /// This process's TCP sockets by state, only states that occur.
    pub sockets: Option<Vec<(&'static str, u64)>>,
    /// Connections of the whole machine that have ended and still hold their port.
    pub time_wait: Option<u64>,
}

/// Open descriptors by what they lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    pub all: u64,
    pub sockets: u64,
    pub warc_files: u64,
    /// Files without a name any more: bodies that did not fit into memory.
    pub unlinked_files: u64,
    inodes: HashSet<u64>,
}

impl Process {
    /// Reads the figures of this process. Blocks for as long as the kernel takes, milliseconds where sockets are many.
    pub fn read() -> Self {
        Self::at(Path::new("/proc"))
    }

    fn at(proc: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(proc.join(path)).unwrap_or_default();
        let status = text("self/status");
        let open = open(&proc.join("self/fd"));
        Self {
            resident: kib(&status, "VmRSS:"),
            anonymous: kib(&status, "RssAnon:"),
            swapped: kib(&status, "VmSwap:"),
            threads: word_after(&status, "Threads:"),
            descriptors_max: word_after(&text("self/limits"), "Max open files"),
            sockets: open
                .as_ref()
                .and_then(|open| by_state(&proc.join("self/net"), &open.inodes)),
            open,
            time_wait: time_wait(&text("self/net/sockstat")),
        }
    }
}

/// The first number of a line that begins so; none where it is no number ("unlimited").
fn word_after(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A field of /proc/PID/status that counts KiB, in bytes.
pub fn kib(status: &str, field: &str) -> Option<u64> {
    word_after(status, field)?.checked_mul(1_024)
}

fn time_wait(sockstat: &str) -> Option<u64> {
    let rest = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = rest.split_whitespace();
    words.by_ref().find(|word| *word == "tw")?;
    words.next()?.parse().ok()
}

fn open(folder: &Path) -> Option<Open> {
    let mut open = Open::default();
    for entry in fs::read_dir(folder).ok()?.flatten() {
        // One that was closed meanwhile leads nowhere.
        let Ok(to) = fs::read_link(entry.path()) else {
            continue;
        };
        open.all += 1;
        let to = to.to_string_lossy();
        if let Some(inode) = to.strip_prefix("socket:[") {
            open.sockets += 1;
            open.inodes
                .extend(inode.trim_end_matches(']').parse::<u64>());
        } else if to.ends_with(" (deleted)") {
            open.unlinked_files += u64::from(to.starts_with('/'));
        } else {
            open.warc_files += u64::from(to.trim_end_matches(OPEN_SUFFIX).ends_with(".warc.gz"));
        }
    }
    Some(open)
}

/// Counts the sockets of these inodes; none where a table is too long or missing.
fn by_state(net: &Path, inodes: &HashSet<u64>) -> Option<Vec<(&'static str, u64)>> {
    let mut counts = [0_u64; STATES.len()];
    // A kernel without IPv6 has no second table.
    for (name, needed) in [("tcp", true), ("tcp6", false)] {
        let Ok(file) = File::open(net.join(name)) else {
            if needed {
                return None;
            }
            continue;
        };
        let mut table = String::new();
        file.take(TABLE_BYTES_MAX).read_to_string(&mut table).ok()?;
        if table.len() as u64 == TABLE_BYTES_MAX {
            return None;
        }
        for line in table.lines().skip(1) {
            if let Some((state, inode)) = socket(line)
                && inodes.contains(&inode)
                && let Some(count) = counts.get_mut(state)
            {
                *count += 1;
            }
        }
    }
    let rows = STATES.into_iter().zip(counts);
    Some(rows.filter(|(_, count)| *count > 0).collect())
}

/// Place of its state in [`STATES`], and inode, of a line of /proc/net/tcp.
fn socket(line: &str) -> Option<(usize, u64)> {
    let mut words = line.split_whitespace();
    let state = usize::from_str_radix(words.nth(3)?, 16).ok()?;
    let inode = words.nth(5)?.parse().ok()?;
    Some((state.checked_sub(1)?, inode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::symlink;

    #[test]
    fn this_process_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let process = Process::read();
        assert!(process.resident > Some(1 << 20), "{process:?}");
        assert!(process.anonymous <= process.resident && process.threads >= Some(1));
        assert!(process.descriptors_max >= Some(64) && process.time_wait.is_some());
        let open = process.open.unwrap();
        assert!(open.all > open.sockets && open.sockets >= 3, "{open:?}");
        let of = |state| {
            let rows = process.sockets.clone().unwrap();
            rows.iter()
                .find(|row| row.0 == state)
                .map_or(0, |row| row.1)
        };
        assert!(of("established") >= 2 && of("listen") >= 1);
        drop(far);
    }

    #[test]
    fn what_another_proc_lacks_is_missing_and_the_rest_is_read() {
        let proc = tempfile::tempdir().unwrap();
        assert_eq!(Process::at(proc.path()), Process::default());
        let own = proc.path().join("self");
        fs::create_dir_all(own.join("fd")).unwrap();
        fs::create_dir_all(own.join("net")).unwrap();
        let write = |name: &str, text: &str| fs::write(own.join(name), text).unwrap();
        write("status", "Name:\tx\nVmRSS:\t  12 kB\nThreads:\tmany\n");
        write(
            "limits",
            "Limit  Soft Limit\nMax open files  1024  4096 files\n",
        );
        write(
            "net/sockstat",
            "sockets: used 9\nTCP: inuse 27 orphan 1 tw 5001 alloc 30 mem 5\nUDP: inuse 1\n",
        );
        let line = |state: &str, inode: u64| {
            format!(
                "   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 {inode} 1\n"
            )
        };
        let table = [
            "  sl  local_address rem_address   st\n".to_owned(),
            line("08", 7),
            line("08", 99), // somebody else's
            line("0A", 8),
            line("FF", 8),
            "cut\n".to_owned(),
        ];
        write("net/tcp", &table.concat());
        for (n, to) in [
            "socket:[7]",
            "socket:[8]",
            "socket:[x]",
            "/x/archive/a.warc.gz.open",
            "/x/tmp/#12 (deleted)",
            "anon_inode:[eventpoll]",
        ]
        .iter()
        .enumerate()
        {
            symlink(to, own.join("fd").join(n.to_string())).unwrap();
        }
        let process = Process::at(proc.path());
        let open = process.open.clone().unwrap();
        assert_eq!(
            (open.all, open.sockets, open.warc_files, open.unlinked_files),
            (6, 3, 1, 1)
        );
        assert_eq!(
            process.sockets,
            Some(vec![("close_wait", 1), ("listen", 1)])
        );
        assert_eq!(process.resident, Some(12_288));
        assert_eq!((process.threads, process.anonymous), (None, None));
        assert_eq!(process.descriptors_max, Some(1_024));
        assert_eq!(process.time_wait, Some(5_001));
    }
}
