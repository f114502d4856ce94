//! The query: parameters that never say what is shown are left out, and the rest has one order where that is safe.
//!
//! The names of [`TRACKING`] are fixed by advertising and mail systems, which add them to whatever link is sent out; each
//! is on the lists by which browsers strip them (Firefox, Brave) or documented by its maker. Names that only happen to be
//! used for tracking at some sites (`ref`, `source`, `campaign`, `cid`) are not here: other sites show pages by them.
//!
//! **Order.** `a=1&b=2` and `b=2&a=1` are one page where the query is a form: every part has a name and a `=`, and nothing
//! looks like another grammar (`;` between parts, brackets in a name, whose order PHP keeps). Form readers make a table
//! of names, which has no order; parameters of one name keep theirs, since that shows (`a=1&a=2`). All other queries stay
//! as they are.

use super::session;

/// Names by their beginnings: Urchin and Google Analytics, Matomo and Piwik, HubSpot's ads, Google Analytics' linker.
const TRACKING_PREFIXES: &[&str] = &["utm_", "mtm_", "piwik_", "hsa_", "_gac_"];

/// Names of parameters that say where a visitor came from, never what is shown. Sorted.
const TRACKING: &[&str] = &[
    "__hsfp",             // HubSpot
    "__hssc",             // HubSpot
    "__hstc",             // HubSpot
    "__s",                // Drip
    "_bta_c",             // Bronto
    "_bta_tid",           // Bronto
    "_ga",                // Google Analytics
    "_gl",                // Google Analytics
    "_hsenc",             // HubSpot
    "_hsmi",              // HubSpot
    "_kx",                // Klaviyo
    "_openstat",          // Openstat
    "bbeml",              // Bonobos' mail
    "bsft_clkid",         // Blueshift
    "bsft_uid",           // Blueshift
    "dclid",              // Google Display
    "dm_i",               // dotdigital
    "epik",               // Pinterest
    "et_rid",             // Salesforce
    "fb_action_ids",      // Facebook
    "fb_action_types",    // Facebook
    "fb_comment_id",      // Facebook
    "fbclid",             // Facebook
    "gad_campaignid",     // Google Ads
    "gad_source",         // Google Ads
    "gbraid",             // Google Ads
    "gclid",              // Google Ads
    "gclsrc",             // Google Ads
    "guce_referrer",      // Yahoo
    "guce_referrer_sig",  // Yahoo
    "hsctatracking",      // HubSpot
    "igsh",               // Instagram
    "igshid",             // Instagram
    "irclickid",          // Impact
    "li_fat_id",          // LinkedIn
    "mc_cid",             // Mailchimp
    "mc_eid",             // Mailchimp
    "mkt_tok",            // Marketo
    "ml_subscriber",      // MailerLite
    "ml_subscriber_hash", // MailerLite
    "msclkid",            // Microsoft Advertising
    "oly_anon_id",        // Omeda
    "oly_enc_id",         // Omeda
    "pk_campaign",        // Matomo
    "pk_cid",             // Matomo
    "pk_content",         // Matomo
    "pk_keyword",         // Matomo
    "pk_kwd",             // Matomo
    "pk_medium",          // Matomo
    "pk_source",          // Matomo
    "rb_clickid",         // Rakuten
    "rdt_cid",            // Reddit
    "s_cid",              // Adobe Analytics
    "s_kwcid",            // Adobe Advertising
    "sccid",              // Snapchat
    "srsltid",            // Google Merchant Center
    "trk_contact",        // Listrak
    "trk_module",         // Listrak
    "trk_msg",            // Listrak
    "trk_sid",            // Listrak
    "ttclid",             // TikTok
    "twclid",             // X
    "unicorn_click_id",   // Unicorn
    "vero_conv",          // Vero
    "vero_id",            // Vero
    "wbraid",             // Google Ads
    "wickedid",           // Wicked Reports
    "yclid",              // Yandex
    "ymclid",             // Yandex
    "ysclid",             // Yandex
];

/// The longest name that is looked up; longer ones are no tracking parameter's unless by their beginning.
const NAME_BYTES_MAX: usize = 32;

/// Appends what is left of the query, with its question mark, if anything is. Its escapes are in one spelling already.
pub(super) fn push(out: &mut String, query: &str) {
    let has_cftoken = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, _)| name.eq_ignore_ascii_case("cftoken"));
    let mut pairs: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            // Without a value it may be a page's name.
            pair.split_once('=').is_none_or(|(name, value)| {
                !is_tracking(name) && !session::is_session(name, value, has_cftoken)
            })
        })
        .collect();
    if pairs.len() > 1 && pairs.iter().all(|pair| is_of_form(pair)) {
        // Stable: parameters of one name keep their order.
        pairs.sort_by_key(|pair| pair.split_once('=').map(|(name, _)| name));
    }
    let mut joint = '?';
    if pairs.iter().all(|pair| pair.is_empty()) && pairs.len() < 2 {
        return;
    }
    for pair in pairs {
        out.push(joint);
        out.push_str(pair);
        joint = '&';
    }
}

fn is_tracking(name: &str) -> bool {
    let mut lower = [0; NAME_BYTES_MAX];
    let length = name.len().min(NAME_BYTES_MAX);
    let lower = &mut lower[..length];
    lower.copy_from_slice(&name.as_bytes()[..length]);
    lower.make_ascii_lowercase();
    let begins = |prefix: &&str| lower.starts_with(prefix.as_bytes());
    TRACKING_PREFIXES.iter().any(begins)
        || (name.len() < NAME_BYTES_MAX
            && TRACKING
                .binary_search_by(|known| known.as_bytes().cmp(lower))
                .is_ok())
}

/// `name=value`, in no grammar but a form's.
fn is_of_form(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, value)| {
        !name.is_empty()
            && !name.contains(['[', ']', ';'])
            && !name.contains("%5B")
            && !value.contains(';')
    })
}

#[test]
fn the_names_can_be_searched() {
    assert!(TRACKING.is_sorted());
    assert!(TRACKING.iter().all(|name| name.len() < NAME_BYTES_MAX));
}
