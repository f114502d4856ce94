//! The synthetic web and its resolver as a program of their own, for timings beside the crawler's process.
//!
//! `kit-origin [--own-addresses] [--log FILE] [JSON]`: JSON is the shape of the web (`{"hosts":8}`), see
//! `kit::web::Web`. It prints one line of JSON when it listens (home URL, port, resolver), writes one line of JSON
//! a request to FILE, and ends when its standard input does, so that it never outlives who started it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use kit::dns::{Dns, Zone};
use kit::origin::Site;
use kit::web::Web;

fn main() -> Result<()> {
    let mut web = Web::default();
    let mut log = None;
    let mut own_addresses = false;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--own-addresses" => own_addresses = true,
            "--log" => log = Some(words.next().context("--log needs a file")?),
            json if json.starts_with('{') => {
                web = serde_json::from_str(json).context("not the shape of a web")?
            }
            other => bail!("does not know {other:?}"),
        }
    }
    let zone = if own_addresses {
        Zone::own_addresses(&web.suffix)
    } else {
        Zone::default()
    };
    let mut site = Site::of(web);
    if own_addresses {
        site = site.on_own_addresses();
    }
    if let Some(path) = log {
        let file = Mutex::new(File::create(&path).with_context(|| format!("cannot write {path}"))?);
        site = site.telling(move |entry| {
            let line = serde_json::to_string(entry).map(|text| text + "\n");
            if let (Ok(line), Ok(mut file)) = (line, file.lock()) {
                // One write a line, so that a reader never sees half of one. A full disk shows as a short log.
                let _ = file.write_all(line.as_bytes());
            }
        });
    }
    let origin = site.start().context("cannot listen")?;
    let dns = Dns::start(zone).context("cannot listen for DNS")?;
    let said =
        serde_json::json!({ "home": origin.home(), "port": origin.port(), "dns": dns.address() });
    println!("{said}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
