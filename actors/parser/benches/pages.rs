//! What reading a page costs, in microseconds of CPU, over the HTML documents of this machine.
//!
//! `cargo bench -p parser [-- DIR…]`; without directories it takes Debian's python3-doc, git-doc and debian-handbook where
//! they are installed. Each stage is run alone over the one before; the best of several rounds counts. Prints; asserts
//! nothing.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::body::Body;
use contract::canonical::Fingerprinter;
use contract::cause::{Deadline, Layer};
use contract::clock::{Clock, Wall};
use contract::crawl::{LimitsConfig, ScopeConfig};
use contract::host::Host;
use contract::lease::{Queued, Token};
use contract::link::LinkKind;
use contract::outcome::Outcome;
use contract::page::{Exchange, Fate, Page, PageGauge, PageLife, Place, Verdict};
use contract::scope::Scope;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode, Version};
use parser::charset;
use parser::config::ParserConfig;
use parser::distinct::Distinct;
use parser::html::text::MainText;
use parser::html::tokens::{Syntax, Token as Piece, Tokens};
use parser::html::{HtmlOptions, read};
use parser::reader::{Reader, Rules};
use parser::resolve::Resolver;
use parser::watch::Watch;
use url::Url;

const DIRECTORIES: &[&str] = &[
    "/usr/share/doc/python3.11/html",
    "/usr/share/doc/git-doc",
    "/usr/share/doc/debian-handbook/html",
];
const FILES_MAX: usize = 400;
const ROUNDS: usize = 5;
const ROUND_NANOS: u64 = 150_000_000;
/// Where the kernel does not count, a round ends all the same.
const TIMES_MAX: u32 = 10_000;
const LINKS_MAX: usize = 1_000_000;
const URL: &str = "https://docs.example.org/guide/library/index.html";

fn main() {
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let usual = DIRECTORIES
        .iter()
        .map(|directory| (*directory).to_owned())
        .collect();
    for directory in if given.is_empty() { usual } else { given } {
        let mut files = Vec::new();
        gather(Path::new(&directory), &mut files);
        let documents: Vec<Vec<u8>> = files
            .iter()
            .filter_map(|file| fs::read(file).ok())
            .collect();
        if documents.is_empty() {
            println!("{directory}: no HTML files");
        } else {
            measure(&directory, &documents);
        }
    }
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if files.len() >= FILES_MAX {
            return;
        } else if path.is_dir() {
            gather(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            files.push(path);
        }
    }
}

/// Nanoseconds that this process has been on a CPU.
fn on_cpu() -> u64 {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split(' ')
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .unwrap_or(0)
}

/// The best round's microseconds for each of `things`. The kernel counts in ticks, so a round lasts many of them.
fn time<T>(things: &[T], mut what: impl FnMut(&T)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (began, mut times) = (on_cpu(), 0);
        while on_cpu() - began < ROUND_NANOS && times < TIMES_MAX {
            things.iter().for_each(&mut what);
            times += 1;
        }
        best = best.min((on_cpu() - began) as f64 / 1e3 / f64::from(times) / things.len() as f64);
    }
    best
}

fn measure(directory: &str, documents: &[Vec<u8>]) {
    let options = HtmlOptions {
        token: "argiope".to_owned(),
        ..HtmlOptions::default()
    };
    let base = Url::parse(URL).expect("a constant URL");
    let (mut all, mut distinct, mut gatherings) = (0, 0, 0);
    let text = |page: &Vec<u8>| charset::decode(page, Some("utf-8"), None).text.into_owned();
    let texts: Vec<String> = documents.iter().map(text).collect();

    let decode = time(documents, |page| {
        black_box(charset::decode(page, Some("utf-8"), None));
    });
    let tokens = time(&texts, |text| {
        let mut tokens = Tokens::new(text);
        while tokens.next_tag_of_note().is_some() {}
    });
    let main_text = time(&texts, |text| {
        let mut tokens = Tokens::new(text);
        let mut main = MainText::default();
        while let Some(token) = tokens.next_of_note() {
            if let Piece::Text(text) = token {
                main.add(text);
            }
        }
        black_box(main.simhash());
    });
    let links = time(&texts, |text| {
        all = 0;
        black_box(
            read(
                text,
                Syntax::Html,
                &options,
                &mut Watch::new(&|| false),
                |_, _| all += 1,
            )
            .ok(),
        );
    });
    let gather = |text: &str, resolve: bool| {
        let mut raw = Distinct::new(7, LINKS_MAX);
        black_box(
            read(
                text,
                Syntax::Html,
                &options,
                &mut Watch::new(&|| false),
                |link, _| {
                    if options.follow(link.standing) {
                        raw.add(link.value, link.kind);
                    }
                },
            )
            .ok(),
        );
        let (links, _) = raw.finish();
        if resolve {
            let mut resolver = Resolver::new(&base, encoding_rs::UTF_8);
            for link in &links {
                black_box(resolver.resolve(&link.value).ok());
            }
        }
        links.len()
    };
    let gathered = time(&texts, |text| {
        gatherings += 1;
        distinct += gather(text, false);
    });
    let resolved = time(&texts, |text| {
        gather(text, true);
    });
    let mut reader = Reader::new(rules());
    let pages: Vec<Page> = documents.iter().map(|document| page(document)).collect();
    let whole = time(&pages, |page| {
        black_box(reader.read(page, 0, &mut Watch::new(&|| false)));
    });

    let count = documents.len() as f64;
    let kb = documents.iter().map(Vec::len).sum::<usize>() as f64 / 1e3 / count;
    println!(
        "{directory}: {} pages of {kb:.1} kB, {:.0} distinct links\n  µs a page: charset {decode:.1}, tokens {tokens:.1}, \
         main text {:.1}, links and facts {:.1}, dedupe {:.1}, resolve {:.1}; the reader with scope and fingerprints {whole:.1}, \
         for 40 kB {:.1}",
        documents.len(),
        distinct as f64 / f64::from(gatherings),
        main_text - tokens,
        links - main_text,
        gathered - links,
        resolved - gathered,
        whole * 40.0 / kb,
    );
}

fn rules() -> Rules {
    let seed = Url::parse("https://docs.example.org/").expect("a constant URL");
    Rules {
        config: ParserConfig::default(),
        limits: LimitsConfig::default(),
        robots_agent: "argiope".to_owned(),
        purpose: contract::rights::Purpose::Archive,
        scope: Arc::new(
            Scope::new(&ScopeConfig::default(), [&seed])
                .expect("the default scope has no patterns"),
        ),
        fingerprints: Fingerprinter { seed: 7 },
    }
}

fn page(body: &[u8]) -> Page {
    let url = Url::parse(URL).expect("a constant URL");
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let exchange = Exchange {
        request_head: Vec::new(),
        version: Version::HTTP_11,
        status: StatusCode::OK,
        reason: Vec::new(),
        headers,
        body: Body::in_memory(
            body.chunks(16_384).map(Bytes::copy_from_slice).collect(),
            None,
        ),
        remote: None,
        cut: None,
        head_after: Duration::ZERO,
        took: Duration::ZERO,
    };
    let queued = Queued {
        url: URL.into(),
        kind: LinkKind::Page,
        depth: 0,
        hops: 0,
        tries: 0,
        via: None,
        earlier: None,
    };
    Page {
        host: Host::of(&url).expect("a constant URL with a host"),
        token: Token(1),
        place: Place::Queue(0),
        url,
        queued,
        began: Wall(0),
        deadline: Deadline::new(&Clock::machine(), Layer::Page, Duration::from_secs(3_600)),
        verdict: Verdict {
            outcome: Outcome::Ok,
            detail: None,
            fate: Fate::Done,
        },
        exchange: Some(Box::new(exchange)),
        said: Vec::new(),
        life: PageLife::begin(&Arc::new(PageGauge::default())),
    }
}
