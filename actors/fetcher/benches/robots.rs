//! What robots.txt costs: reading a file of 400 rules, and deciding about a path, also where patterns are hostile.
//!
//! Figures are printed, never asserted. `cargo bench -p fetcher --bench robots`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use fetcher::robots::Robots;

fn main() {
    let mut usual = String::from("user-agent: *\n");
    for n in 0..400 {
        let line = match n % 4 {
            0 => format!("disallow: /private/{n}/\n"),
            1 => format!("disallow: /*?session={n}\n"),
            2 => format!("allow: /shop/{n}/*.html$\n"),
            _ => format!("disallow: /caf%C3%A9/{n}\n"),
        };
        let _never_fails = usual.write_str(&line);
    }
    time("read 400 rules", || {
        Robots::parse(black_box(usual.as_bytes())).rules_for("argiope")
    });
    let rules = Robots::parse(usual.as_bytes()).rules_for("argiope");
    time("decide, nothing matches", || {
        rules
            .decide(black_box("/docs/reference/index.html?page=2"))
            .allowed
    });
    time("decide, a rule matches", || {
        rules.decide(black_box("/shop/398/shoes.html")).allowed
    });

    let hostile = format!(
        "user-agent: *\n{}",
        "disallow: /*a*a*a*a*a*a*a*a*b\n".repeat(15_000)
    );
    time("read 500 KiB of hostile rules", || {
        Robots::parse(black_box(hostile.as_bytes())).rules_for("argiope")
    });
    let rules = Robots::parse(hostile.as_bytes()).rules_for("argiope");
    let path = format!("/{}", "a".repeat(2_000));
    time("decide about 2,000 octets under them", || {
        rules.decide(black_box(&path)).allowed
    });
}

/// Prints the median of as many runs as fit into a quarter of a second.
fn time<T>(what: &str, mut work: impl FnMut() -> T) {
    let mut runs = Vec::new();
    let began = Instant::now();
    while began.elapsed().as_millis() < 250 || runs.len() < 5 {
        let one = Instant::now();
        black_box(work());
        runs.push(one.elapsed());
    }
    runs.sort_unstable();
    println!(
        "{what:<40} {:>10.1} µs",
        runs[runs.len() / 2].as_secs_f64() * 1e6
    );
}
