//! What several nodes wrote, taken as one: proven, indexed, and made whole again when a node's folder is gone.

use kit::audit;
use kit::web::Web;

use crate::cluster::{Fleet, drained};
use crate::crawl::{argiope, ended};
use crate::stand::Stand;

#[test]
fn a_lost_folder_is_noticed_and_what_it_held_is_fetched_again() {
    // More hosts than one node leases at once.
    let web = Web {
        hosts: 120,
        pages_per_host: 6,
        flaky_every: 0,
        delay_ms: (1, 10),
        ..Web::default()
    };
    let (stand, fleet) = (Stand::of(web), Fleet::start());
    fleet.crawl(&stand, &["--delay", "100ms"]);
    let nodes = [fleet.node(&stand, "n1"), fleet.node(&stand, "n2")];
    fleet.awaits_done(&nodes.each_ref());
    nodes.into_iter().for_each(|node| drop(drained(node)));
    let whole = fleet.ask("verify", &["--crawl", "zoo"]);
    assert!(whole.contains("verified: done means stored"), "{whole}");
    let folder = fleet.folder.path().join("zoo");
    let said = argiope(&["index", "merge", folder.to_str().unwrap()], 0).out;
    assert!(said.contains("the index of 2 nodes"), "{said}");
    let index = std::fs::read_to_string(folder.join("index.cdxj")).unwrap();
    let is_of = |node: &str| index.contains(&format!("\"filename\": \"{node}/archive/"));
    assert!(is_of("n1") && is_of("n2") && index.lines().is_sorted());

    let before = stand.origin.log().len();
    std::fs::remove_dir_all(folder.join("n2")).unwrap();
    let lost = ended(fleet.run("verify", &["--crawl", "zoo"]), 1).out;
    assert!(
        lost.contains("NOT verified") && lost.contains("reopen --missing"),
        "{lost}"
    );
    let said = fleet.ask("reopen", &["--missing", "--crawl", "zoo"]);
    assert!(
        said.contains("in none of these 1 folders") && said.contains("zoo: running"),
        "{said}"
    );
    let node = fleet.node(&stand, "n1");
    fleet.awaits_done(&[&node]);
    drained(node);
    let whole = fleet.ask("verify", &["--crawl", "zoo"]);
    assert!(
        whole.contains("verified: done means stored"),
        "{said}{whole}"
    );
    // All that was there, and of it only what was lost a second time.
    let log = stand.origin.log();
    let coverage = audit::coverage(&log, &stand.origin.truth(|_| true));
    assert!(coverage.is_exact(), "{coverage:#?}");
    let again = log.len() - before;
    assert!(again > 10 && again < before, "{again} of {before}\n{said}");
}
