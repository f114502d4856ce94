//! `status pause resume stop add`: talk to a running crawl on this machine, or through a shared store to all nodes.

use std::path::Path;

use contract::error::chain;
use serde_json::{Value, json};

use super::fleet::{self, Wish};
use crate::api::Control;
use crate::cli::{FleetFlags, StatusArgs, Target};
use crate::exit::{Code, Failure};
use crate::folder::CONTROL;

/// Shows how a crawl, or a fleet, stands.
///
/// # Errors
/// No running crawl or no store there.
pub async fn status(args: &StatusArgs) -> Result<(), Failure> {
    match &args.target {
        Some(target) => send(target, "status", None).await,
        None => super::status::fleet(args).await,
    }
}

/// Pauses, resumes or stops a crawl.
///
/// # Errors
/// No running crawl there, or its refusal.
pub async fn order(target: &Target, wish: Wish) -> Result<(), Failure> {
    let Some(local) = &target.target else {
        return fleet::state(&target.fleet, wish).await;
    };
    let verb = match wish {
        Wish::Pause => "pause",
        Wish::Resume => "resume",
        Wish::Stop => "stop",
    };
    send(local, verb, None).await
}

/// Gives a crawl more URLs: the words are these, on this machine after the crawl's folder.
///
/// # Errors
/// No running crawl there, or its refusal.
pub async fn add(words: &[String], flags: &FleetFlags) -> Result<(), Failure> {
    if flags.store.store.is_some() {
        return super::add::shared(words, flags).await;
    }
    match words {
        [target, urls @ ..] if !urls.is_empty() => {
            send(target, "add", Some(json!({ "urls": urls }))).await
        }
        _ => Err(Failure::input(
            "name the crawl's folder, then the URLs; or the store with --store",
        )),
    }
}

/// Sends one request to the crawl at `target` and prints the answer.
///
/// # Errors
/// No running crawl there, or its refusal.
async fn send(target: &str, verb: &str, body: Option<Value>) -> Result<(), Failure> {
    let (is_success, value) = ask(target, verb, body).await?;
    if !is_success {
        let why = value
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or("the crawl refused");
        return Err(Failure::new(Code::Error, why));
    }
    match value.get("done").and_then(Value::as_array) {
        Some(lines) => lines
            .iter()
            .filter_map(Value::as_str)
            .for_each(|line| println!("{line}")),
        None => println!("{value:#}"),
    }
    Ok(())
}

/// Sends one request to the crawl at `target` (a folder, or the API's URL): whether it was taken, and the answer.
///
/// # Errors
/// No running crawl there.
pub(super) async fn ask(
    target: &str,
    verb: &str,
    body: Option<Value>,
) -> Result<(bool, Value), Failure> {
    let control = find(target)?;
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.map_err(|error| Failure::new(Code::Error, chain(&error)))?;
    let url = format!("{}/api/v1/{verb}", control.url.trim_end_matches('/'));
    let request = match (verb, body) {
        ("status" | "health", _) => client.get(url),
        (_, None) => client.post(url),
        (_, Some(body)) => client
            .post(url)
            .header("Content-Type", "application/json")
            .body(body.to_string()),
    };
    let answer = request
        .bearer_auth(&control.token)
        .send()
        .await
        .map_err(|error| {
            Failure::new(
                Code::Error,
                format!("no crawl answers at {}: {}", control.url, chain(&error)),
            )
        })?;
    let is_success = answer.status().is_success();
    let text = answer
        .text()
        .await
        .map_err(|error| Failure::new(Code::Error, chain(&error)))?;
    Ok((
        is_success,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    ))
}

fn find(target: &str) -> Result<Control, Failure> {
    if target.starts_with("http://") {
        let token = std::env::var("ARGIOPE_TOKEN").map_err(|_| {
            Failure::input(
                "with a URL the token is needed: set ARGIOPE_TOKEN to that of control.json",
            )
        })?;
        return Ok(Control {
            url: target.to_owned(),
            token,
            pid: 0,
        });
    }
    let file = Path::new(target).join(CONTROL);
    let text = std::fs::read(&file).map_err(|error| {
        Failure::input(format!(
            "no crawl is running in {target} ({}: {error})",
            file.display()
        ))
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::input(format!("{}: {error}", file.display())))
}
