//! The one table of gauges: name, meaning, limit, and where in a [`Snapshot`] each is found.
//!
//! Owns names and limits (DESIGN of the limits: docs/reference/limits.md); knows neither `/proc` nor rooms. A row may
//! have several figures, told apart by labels from closed sets and the crawl's name. Invariant: no figure without a
//! row, so that what is shown, judged and documented is the same. Start at [`GAUGES`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use contract::outbox::ArrowLoad;
use serde::Serialize;

use super::{Crawl, Snapshot};

/// A row.
pub struct Gauge {
    /// As Prometheus has it; units are base units, in the name.
    pub name: &'static str,
    /// In one line.
    pub meaning: &'static str,
    /// What it may not pass, in words; empty where nothing is wrong with any figure.
    pub limit: &'static str,
    read: fn(&Snapshot) -> Vec<Figure>,
}

/// A figure of a row.
#[derive(Default)]
struct Figure {
    labels: Vec<(&'static str, String)>,
    value: f64,
    most: Option<f64>,
}

/// All figures of one moment, judged.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// No figure is above its limit.
    pub ok: bool,
    pub gauges: Vec<Reading>,
}

/// A figure with its row, judged.
#[derive(Debug, Serialize)]
pub struct Reading {
    pub name: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<&'static str, String>,
    pub value: f64,
    /// What it may not pass, in figures and in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub limit: &'static str,
    pub ok: bool,
}

/// Connections of the machine that still hold their port: above, a new one may find none.
pub const TIME_WAIT_MAX: u64 = 5_000;
/// Parts of `--max-memory` and of the descriptors' limit.
const MEMORY_PART: f64 = 0.9;
const DESCRIPTORS_PART: f64 = 0.8;

/// Every gauge, as it is shown.
pub const GAUGES: &[Gauge] = &[
    Gauge {
        name: "argiope_process_resident_bytes",
        meaning: "Memory of the process that is in RAM",
        limit: "90 % of `--max-memory`",
        read: |s| one(s.process.resident, Some(s.memory_max as f64 * MEMORY_PART)),
    },
    Gauge {
        name: "argiope_process_anonymous_bytes",
        meaning: "Of that, what no file backs: heap and stacks, the part that a leak grows",
        limit: "",
        read: |s| one(s.process.anonymous, None),
    },
    Gauge {
        name: "argiope_process_swapped_bytes",
        meaning: "Memory of the process that is swapped out",
        limit: "",
        read: |s| one(s.process.swapped, None),
    },
    Gauge {
        name: "argiope_process_threads",
        meaning: "Threads of the process",
        limit: "",
        read: |s| one(s.process.threads, None),
    },
    Gauge {
        name: "argiope_process_open_descriptors",
        meaning: "Open descriptors of the process, the one that counts them included",
        limit: "80 % of its limit (`ulimit -n`)",
        read: |s| {
            let most = s
                .process
                .descriptors_max
                .map(|max| max as f64 * DESCRIPTORS_PART);
            one(s.process.open.as_ref().map(|open| open.all), most)
        },
    },
    Gauge {
        name: "argiope_process_max_descriptors",
        meaning: "How many descriptors the process may open",
        limit: "",
        read: |s| one(s.process.descriptors_max, None),
    },
    Gauge {
        name: "argiope_process_sockets",
        meaning: "Open sockets of the process, of every kind",
        limit: "",
        read: |s| one(s.process.open.as_ref().map(|open| open.sockets), None),
    },
    Gauge {
        name: "argiope_process_tcp_sockets",
        meaning: "TCP sockets of the process by `state`; missing where the machine's table is longer than 8 MB",
        limit: "",
        read: |s| {
            let rows = s.process.sockets.iter().flatten();
            rows.map(|(state, count)| Figure {
                labels: vec![("state", (*state).to_owned())],
                value: *count as f64,
                most: None,
            })
            .collect()
        },
    },
    Gauge {
        name: "argiope_process_open_warc_files",
        meaning: "WARC files that are open",
        limit: "",
        read: |s| one(s.process.open.as_ref().map(|open| open.warc_files), None),
    },
    Gauge {
        name: "argiope_process_unlinked_files",
        meaning: "Open files without a name: bodies that did not fit into memory",
        limit: "",
        read: |s| {
            one(
                s.process.open.as_ref().map(|open| open.unlinked_files),
                None,
            )
        },
    },
    Gauge {
        name: "argiope_machine_time_wait_sockets",
        meaning: "TCP connections of the machine that have ended and still hold their port",
        limit: "5,000",
        read: |s| one(s.process.time_wait, Some(TIME_WAIT_MAX as f64)),
    },
    Gauge {
        name: "argiope_tasks",
        meaning: "Tasks of the process's runtimes: connections, resolvers, listeners (an actor's own futures are its leases)",
        limit: "",
        read: |s| one(Some(s.tasks), None),
    },
    Gauge {
        name: "argiope_bodies_held_bytes",
        meaning: "Memory reserved for bodies in flight, over all crawls",
        limit: "an eighth of `--max-memory`",
        read: |s| one(Some(s.bodies.0), Some(s.bodies.1 as f64)),
    },
    Gauge {
        name: "argiope_links_held_bytes",
        meaning: "Memory reserved for links on their way to the frontier, over all crawls",
        limit: "a 32nd of `--max-memory`",
        read: |s| one(Some(s.found.0), Some(s.found.1 as f64)),
    },
    Gauge {
        name: "argiope_actors",
        meaning: "Actors of a crawl that live",
        limit: "",
        read: |s| each(s, |crawl| crawl.actors as f64, |_| None),
    },
    Gauge {
        name: "argiope_leases",
        meaning: "Leases that a crawl's fetchers hold here",
        limit: "",
        read: |s| each(s, |crawl| crawl.status.node.leases as f64, |_| None),
    },
    Gauge {
        name: "argiope_requests_in_flight",
        meaning: "Requests of a crawl in flight here",
        limit: "`--concurrency` times `--fetchers`",
        read: |s| {
            let value = |crawl: &Crawl| crawl.status.in_flight as f64;
            each(s, value, |crawl| Some(crawl.bounds.in_flight as f64))
        },
    },
    Gauge {
        name: "argiope_pages_in_ring",
        meaning: "Pages of a crawl between fetcher and settle",
        limit: "",
        read: |s| each(s, |crawl| crawl.status.in_ring as f64, |_| None),
    },
    Gauge {
        name: "argiope_connections_idle",
        meaning: "Connections of a crawl that are kept for a next request",
        limit: "1,000, shared by its fetchers",
        read: |s| {
            let value = |crawl: &Crawl| crawl.status.node.connections_idle as f64;
            each(s, value, |crawl| Some(crawl.bounds.connections as f64))
        },
    },
    Gauge {
        name: "argiope_dns_entries",
        meaning: "Answers in the resolvers' caches of a crawl, at most",
        limit: "4,096 for each fetcher",
        read: |s| {
            let value = |crawl: &Crawl| crawl.status.node.dns_entries as f64;
            each(s, value, |crawl| Some(crawl.bounds.dns_entries as f64))
        },
    },
    Gauge {
        name: "argiope_slots_held",
        meaning: "Items queued or in work of each `arrow` of a crawl's ring",
        limit: "the arrow's slots",
        read: |s| of_arrows(s, |load| (load.held as f64, Some(load.slots as f64))),
    },
    Gauge {
        name: "argiope_slots_waited_seconds_total",
        meaning: "Time that senders have waited for a slot of each `arrow`, since its generation began",
        limit: "",
        read: |s| of_arrows(s, |load| (load.waited.as_secs_f64(), None)),
    },
    Gauge {
        name: "argiope_rate_waiting",
        meaning: "Requests of a crawl that wait for the shared rate",
        limit: "",
        read: |s| each(s, |crawl| crawl.turns.held as f64, |_| None),
    },
    Gauge {
        name: "argiope_rate_waited_seconds_total",
        meaning: "Time that requests have waited for the shared rate, since their generation began",
        limit: "",
        read: |s| each(s, |crawl| crawl.turns.waited.as_secs_f64(), |_| None),
    },
    Gauge {
        name: "argiope_frontier_known",
        meaning: "URLs of a crawl that were ever admitted, over all nodes",
        limit: "",
        read: |s| each(s, |crawl| crawl.status.frontier.known as f64, |_| None),
    },
    Gauge {
        name: "argiope_frontier_queued",
        meaning: "Of those, the ones that wait, leased ones too",
        limit: "",
        read: |s| each(s, |crawl| crawl.status.frontier.queued as f64, |_| None),
    },
    Gauge {
        name: "argiope_frontier_done",
        meaning: "Of those, the ones that are settled",
        limit: "",
        read: |s| each(s, |crawl| crawl.status.frontier.done as f64, |_| None),
    },
    Gauge {
        name: "argiope_frontier_leases",
        meaning: "Leases of a crawl that are out, over all nodes",
        limit: "",
        read: |s| each(s, |crawl| crawl.status.frontier.leases as f64, |_| None),
    },
    Gauge {
        name: "argiope_frontier_hosts_active",
        meaning: "Hosts of a crawl with something queued",
        limit: "",
        read: |s| {
            each(
                s,
                |crawl| crawl.status.frontier.hosts_active as f64,
                |_| None,
            )
        },
    },
    Gauge {
        name: "argiope_frontier_hosts_waiting",
        meaning: "Hosts of a crawl that are not due",
        limit: "",
        read: |s| {
            each(
                s,
                |crawl| crawl.status.frontier.hosts_waiting as f64,
                |_| None,
            )
        },
    },
];

fn one(value: Option<u64>, most: Option<f64>) -> Vec<Figure> {
    let figure = |value: u64| Figure {
        value: value as f64,
        most,
        ..Figure::default()
    };
    value.map(figure).into_iter().collect()
}

fn each(
    snapshot: &Snapshot,
    value: impl Fn(&Crawl) -> f64,
    most: impl Fn(&Crawl) -> Option<f64>,
) -> Vec<Figure> {
    let figure = |crawl| Figure {
        labels: labels(crawl, None),
        value: value(crawl),
        most: most(crawl),
    };
    snapshot.crawls.iter().map(figure).collect()
}

/// A figure and its limit for each arrow of each crawl.
fn of_arrows(
    snapshot: &Snapshot,
    figure: impl Fn(&ArrowLoad) -> (f64, Option<f64>),
) -> Vec<Figure> {
    let arrows = |crawl: &Crawl| -> Vec<Figure> {
        let figure = |load: &ArrowLoad| {
            let (value, most) = figure(load);
            let labels = labels(crawl, Some(load.arrow));
            Figure {
                labels,
                value,
                most,
            }
        };
        crawl.arrows.iter().map(figure).collect()
    };
    snapshot.crawls.iter().flat_map(arrows).collect()
}

fn labels(crawl: &Crawl, arrow: Option<&'static str>) -> Vec<(&'static str, String)> {
    let mut labels = vec![("crawl", crawl.name.clone())];
    labels.extend(arrow.map(|arrow| ("arrow", arrow.to_owned())));
    labels
}

/// Judges every figure there is.
pub fn judge(snapshot: &Snapshot) -> Verdict {
    let mut readings: Vec<Reading> = Vec::new();
    for gauge in GAUGES {
        readings.extend((gauge.read)(snapshot).into_iter().map(|figure| Reading {
            name: gauge.name,
            labels: figure.labels.into_iter().collect(),
            value: figure.value,
            most: figure.most,
            limit: gauge.limit,
            ok: figure.most.is_none_or(|most| figure.value <= most),
        }));
    }
    Verdict {
        ok: readings.iter().all(|reading| reading.ok),
        gauges: readings,
    }
}

/// The gauges in Prometheus' text format 0.0.4.
pub fn prometheus(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for gauge in GAUGES {
        let figures = (gauge.read)(snapshot);
        if figures.is_empty() {
            continue;
        }
        let kind = match gauge.name.ends_with("_total") {
            true => "counter",
            false => "gauge",
        };
        let name = gauge.name;
        // Writing into a string cannot fail.
        let _written = writeln!(
            text,
            "# HELP {name} {}\n# TYPE {name} {kind}",
            gauge.meaning
        );
        for figure in figures {
            let labels: Vec<_> = figure.labels.iter().map(label).collect();
            let labels = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", labels.join(",")),
            };
            let _written = writeln!(text, "{name}{labels} {}", figure.value);
        }
    }
    text
}

/// A crawl's name may be any folder's.
fn label((name, value): &(&'static str, String)) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauges::Process;
    use std::collections::HashSet;

    #[test]
    fn names_are_prometheus_and_told_once() {
        let names: HashSet<_> = GAUGES.iter().map(|gauge| gauge.name).collect();
        assert_eq!(names.len(), GAUGES.len());
        for Gauge { name, meaning, .. } in GAUGES {
            assert!(name.starts_with("argiope_"), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            assert!(!meaning.is_empty() && !meaning.contains('\n'), "{name}");
        }
    }

    #[test]
    fn the_reference_page_has_every_row() {
        let page = include_str!("../../docs/reference/metrics.md");
        for Gauge {
            name,
            meaning,
            limit,
            ..
        } in GAUGES
        {
            let row = format!("| `{name}` | {meaning} | {limit} |\n");
            assert!(
                page.contains(&row),
                "docs/reference/metrics.md lacks\n{row}"
            );
        }
    }

    #[test]
    fn a_figure_is_bad_only_above_its_limit() {
        let mut snapshot = Snapshot {
            process: Process {
                resident: Some(900),
                time_wait: Some(5_000),
                ..Process::default()
            },
            memory_max: 1_000,
            ..Snapshot::default()
        };
        let bad = |snapshot: &Snapshot| -> Vec<_> {
            let verdict = judge(snapshot);
            let all = verdict.gauges.iter();
            let bad: Vec<_> = all.filter(|reading| !reading.ok).map(|r| r.name).collect();
            assert_eq!(verdict.ok, bad.is_empty());
            bad
        };
        assert_eq!(bad(&snapshot), [""; 0]);
        snapshot.process.resident = Some(901);
        snapshot.process.time_wait = Some(5_001);
        let names = [
            "argiope_process_resident_bytes",
            "argiope_machine_time_wait_sockets",
        ];
        assert_eq!(bad(&snapshot), names);
    }

    #[test]
    fn a_name_from_outside_cannot_break_the_text() {
        let crawl = Crawl {
            name: "a\"} 1\nb\\".to_owned(),
            ..Crawl::default()
        };
        let snapshot = Snapshot {
            crawls: vec![crawl],
            ..Snapshot::default()
        };
        let text = prometheus(&snapshot);
        assert!(
            text.contains("argiope_actors{crawl=\"a\\\"} 1\\nb\\\\\"} 0\n"),
            "{text}"
        );
    }
}
