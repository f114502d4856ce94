//! Whatever is wrong with what it is given, the program says so in one clear sentence and an exit code.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use kit::dns::Reply;
use kit::origin::Site;
use kit::tls::Authority;
use kit::web::Web;

use crate::archive;
use crate::crawl::{ARGIOPE, Crawl, PATIENCE, argiope, clean, sentence};
use crate::stand::Stand;

/// The command is refused before it asks anyone, with a sentence that says this.
#[track_caller]
fn refused(crawl: &Crawl, want: &str) {
    let said = sentence(&crawl.ends(4));
    assert!(said.contains(want), "{said:?} does not say {want:?}");
}

/// The crawl ends without a page; the ledger says this of its only URL.
#[track_caller]
fn no_page(crawl: &Crawl, want: &str) {
    let said = sentence(&crawl.ends(9));
    assert!(said.contains("no page was kept"), "{said}");
    let outcomes: Vec<String> = crawl
        .outcomes()
        .into_values()
        .map(|line| line.outcome)
        .collect();
    assert_eq!(outcomes, [want]);
}

#[test]
fn words_that_cannot_be_used_are_named() {
    let url = "https://docs.example.org/";
    refused(&Crawl::new(), "no seed is given");
    refused(
        &Crawl::new().seed("docs.example.org"),
        "did you mean https://docs.example.org",
    );
    refused(&Crawl::new().seed("http://[::1"), "not a URL");
    refused(
        &Crawl::new().seed("ftp://docs.example.org/"),
        "neither http nor https",
    );
    refused(
        &Crawl::new().seed("http://docs.example.org:81/"),
        "--allow-port 81",
    );
    refused(
        &Crawl::new().seed("http://10.0.0.1/"),
        "--allow-net 10.0.0.1",
    );
    refused(&Crawl::new().seed("http://[fd00::1]/"), "--allow-net");
    refused(
        &Crawl::new().seed("http://127.0.0.1/"),
        "--allow-net 127.0.0.0/8",
    );
    refused(
        &Crawl::new().seed(url).flags(&["--exclude", "("]),
        "not a regular expression",
    );
    refused(
        &Crawl::new().seed(url).flags(&["--max-memory", "1MB"]),
        "--max-memory",
    );
    refused(
        &Crawl::new().seed(url).flags(&["--ca", "/no/such.pem"]),
        "/no/such.pem",
    );
    // clap's own: not one sentence, but it names the word.
    let unknown = Crawl::new().seed(url).ends_with(&["--frobnicate"], 4);
    assert!(unknown.err.contains("--frobnicate"), "{}", unknown.err);
    argiope(&["--help"], 0);
    argiope(&["crawl", "--help"], 0);
}

#[test]
fn nobody_crawls_without_a_name() {
    let nameless = argiope(
        &["crawl", "https://docs.example.org/", "-o", "/proc/none"],
        4,
    );
    assert!(sentence(&nameless).contains("--contact mailto:"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let crawl = Crawl::new();
    let seeds = crawl.scratch("seeds.txt");
    let seeds_text = seeds.to_str().unwrap().to_owned();
    let crawl = crawl.flags(&["--seed-file", &seeds_text]);
    refused(&crawl, &format!("seed file {seeds_text}"));
    fs::write(&seeds, b"\xff\xfe\x00").unwrap();
    refused(&crawl, &format!("seed file {seeds_text}"));
    fs::write(&seeds, "# none yet\n\nnonsense\n").unwrap();
    refused(&crawl, &format!("{seeds_text}:3"));

    let url = "https://docs.example.org/";
    refused(
        &Crawl::new().seed(url).flags(&["--config", "/no/such.toml"]),
        "config file /no/such.toml",
    );
    refused(
        &Crawl::new().seed(url).config("[scope]\ndeepness = 3\n"),
        "deepness",
    );
    refused(&Crawl::new().seed(url).config("[scope\n"), "config file");
    let torn = Crawl::new().seed(url);
    fs::write(torn.scratch("ca.pem"), "no certificate").unwrap();
    refused(&torn.flags(&["--ca", "ca.pem"]), "ca.pem");
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    let url = "https://docs.example.org/";
    let below_a_file = Crawl::new().seed(url);
    fs::write(below_a_file.output(), "a file").unwrap();
    refused(&below_a_file, "output folder");
    let strange = Crawl::new().seed(url);
    fs::create_dir_all(strange.output()).unwrap();
    fs::write(strange.path("thesis.tex"), "mine").unwrap();
    refused(&strange, "no crawl made it");
    let refused = strange.ends_with(&["--overwrite"], 4);
    assert!(sentence(&refused).contains("no crawl made it"));
    assert!(strange.path("thesis.tex").exists());
    let read_only = argiope(
        &[
            "crawl",
            url,
            "--contact",
            "mailto:a@zoo.test",
            "-o",
            "/proc/argiope",
        ],
        4,
    );
    assert!(sentence(&read_only).contains("/proc/argiope"));
    let none = argiope(&["verify", "/proc/none"], 4);
    assert!(sentence(&none).contains("/proc/none"));
}

#[test]
fn hosts_that_cannot_be_reached_are_in_the_ledger() {
    let stand = Stand::bare();
    let quick = || {
        stand
            .crawl()
            .config("[pace]\ntries-max = 1\ndelay-ms = 0\n")
    };
    no_page(
        &quick().seed(&stand.origin.url("nobody.example", "/")),
        "dns_not_found",
    );
    stand.dns.set("broken.test", Reply::Failure);
    no_page(
        &quick().seed(&stand.origin.url("broken.test", "/")),
        "dns_failed",
    );
    stand
        .dns
        .set("inner.test", Reply::Addresses(vec![[10, 0, 0, 1].into()]));
    no_page(
        &quick().seed(&stand.origin.url("inner.test", "/")),
        "address_refused",
    );
    // A port where nobody listens any more.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    // Without its robots.txt, for which such a host is asked again after 1, 5 and 15 minutes.
    let closed = quick().flags(&["--allow-port", &port.to_string(), "--robots", "ignore"]);
    no_page(
        &closed.seed(&format!("http://127.0.0.1:{port}/")),
        "connect_failed",
    );
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_and_a_named_one_accepted() {
    let authority = Authority::new().unwrap();
    let origin = Site::of(Web {
        pages_per_host: 5,
        ..Web::default()
    })
    .with_tls(authority.server().unwrap());
    let origin = origin.start().unwrap();
    let stand = Stand {
        origin,
        dns: Stand::bare().dns,
    };
    let crawl = || {
        stand
            .crawl()
            .flags(&["--delay", "0"])
            .seed(&stand.origin.home())
    };
    no_page(&crawl(), "tls_failed");
    assert_eq!(stand.origin.requests(), 0);
    let crawl = crawl();
    let folder = crawl.scratch("pem");
    fs::create_dir(&folder).unwrap();
    let files = authority.write(&folder).unwrap();
    let crawl = crawl.flags(&["--ca", files.authority.to_str().unwrap()]);
    crawl.ends(0);
    let coverage = kit::audit::coverage(&stand.origin.log(), &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    archive::sound(&crawl);
}

/// A crawl of a small web that has ended well.
fn done() -> (Stand, Crawl) {
    let stand = Stand::of(Web {
        flaky_every: 0,
        ..Web::default()
    });
    let crawl = stand
        .crawl()
        .flags(&["--delay", "0"])
        .seed(&stand.origin.home());
    crawl.ends(0);
    (stand, crawl)
}

#[test]
fn a_torn_archive_is_mended_and_said() {
    let (stand, crawl) = done();
    let path = crawl.archives().remove(0);
    // As after a power cut: the file is not sealed, and its last record not whole.
    let torn = [
        fs::read(&path).unwrap(),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00torn".to_vec(),
    ]
    .concat();
    let open = path.with_file_name(format!(
        "{}.open",
        path.file_name().unwrap().to_string_lossy()
    ));
    fs::remove_file(&path).unwrap();
    fs::write(&open, torn).unwrap();
    let requests = stand.origin.requests();
    let ended = crawl.ends(0);
    assert!(
        ended.err.contains("torn") || ended.err.contains("cut"),
        "it says nothing of it:\n{}",
        ended.err
    );
    assert_eq!(stand.origin.requests(), requests, "nothing was lost");
    archive::sound(&crawl);
}

/// What the frontier's folder holds, byte by byte.
fn frontier(crawl: &Crawl) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = crawl.path("frontier");
    let files = kit::files::below(&folder).unwrap().into_keys();
    files
        .map(|file| {
            let path = folder.join(file.trim_start_matches('/'));
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

/// Puts the frontier's folder back as it was.
fn restore(crawl: &Crawl, files: &BTreeMap<PathBuf, Vec<u8>>) {
    fs::remove_dir_all(crawl.path("frontier")).unwrap();
    for (path, bytes) in files {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The command and `verify` name the damage and write nothing; false if neither finds any.
#[track_caller]
fn is_refused(crawl: &Crawl) -> bool {
    let before = crawl.ledger();
    let verify = ["verify", crawl.output().to_str().unwrap()];
    let verified = kit::process::run(clean(ARGIOPE).args(verify), PATIENCE).unwrap();
    let ended = crawl.start(&[]).wait(PATIENCE).unwrap();
    assert_eq!(verified.code, ended.code, "{}\n{}", verified.err, ended.err);
    for ended in [&verified, &ended] {
        assert!(!ended.err.contains("panicked at"), "{}", ended.err);
    }
    if ended.code == Some(0) {
        return false;
    }
    assert!(matches!(ended.code, Some(4 | 8)), "{:?}", ended.code);
    for said in [sentence(&verified), sentence(&ended)] {
        assert!(
            said.contains("frontier") && said.contains("damaged"),
            "{said}"
        );
    }
    assert_eq!(crawl.ledger(), before);
    true
}

#[test]
fn a_corrupt_frontier_is_refused_and_left_as_it_is() {
    let (_stand, crawl) = done();
    let (sound, outcomes) = (frontier(&crawl), crawl.outcomes());
    for (path, bytes) in &sound {
        fs::write(path, bytes.iter().map(|byte| !byte).collect::<Vec<_>>()).unwrap();
    }
    let spoilt = frontier(&crawl);
    assert!(is_refused(&crawl), "every file is spoilt throughout");
    assert!(frontier(&crawl) == spoilt, "something was touched");
    restore(&crawl, &sound);
    crawl.ends(0);
    assert_eq!(crawl.outcomes(), outcomes, "mended, it is as it was");
}

#[test]
fn one_spoilt_byte_of_the_journal_is_refused_or_costs_nothing() {
    let (_stand, crawl) = done();
    let (sound, outcomes) = (frontier(&crawl), crawl.outcomes());
    let journal = |path: &&PathBuf| path.extension().is_some_and(|end| end == "jnl");
    let path = sound.keys().find(journal).unwrap();
    let mut refused = 0;
    for eighth in 0..8 {
        let mut bytes = sound[path].clone();
        let at = bytes.len() * eighth / 8;
        bytes[at] = !bytes[at];
        fs::write(path, bytes).unwrap();
        if is_refused(&crawl) {
            refused += 1;
        } else {
            // Taken for the end of the journal: what stood behind it is done again, and nothing is missing.
            let again = crawl.outcomes();
            assert!(
                outcomes.keys().all(|url| again.contains_key(url)),
                "lost by byte {at}"
            );
            archive::sound(&crawl);
        }
        restore(&crawl, &sound);
    }
    assert!(refused > 0, "no spoilt byte was noticed");
}
