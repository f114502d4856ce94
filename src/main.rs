//! The composition root: arguments, run, exit code.
//!
//! The only crate that knows every room. Start at [`wiring`] (the ring as code), then [`supervise`].

#![allow(
    unreachable_pub,
    reason = "a binary has no outside that `pub` could reach"
)]

#[macro_use]
mod say; // First: its macros hold for all modules below.

mod account;
mod api;
mod cli;
mod commands;
mod config;
mod exit;
mod failing;
mod fleet;
mod folder;
mod gauges;
mod home;
mod identity;
mod machine;
mod older;
mod progress;
#[cfg(test)]
mod rate_drill;
mod recrawl;
mod run;
mod shutdown;
mod stored;
mod supervise;
mod telemetry;
mod threads;
mod units;
mod wiring;

use clap::Parser;
use cli::{Cli, Command, IndexCommand};
use exit::{Code, Failure};

/// Bodies and records come and go by the thousand on many threads; the system's allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => {
            let _shown = error.print();
            if error.use_stderr() {
                Code::BadInput
            } else {
                Code::Done
            }
        }
    };
    std::process::ExitCode::from(code as u8)
}

fn run(cli: Cli) -> Code {
    // First of all: without a process-wide provider, building a client panics.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let system = actix_rt::System::new();
    let ended = system.block_on(dispatch(cli.command));
    // The process ends here. Dropping the runtime would wait for threads that a forced end must not wait for.
    std::mem::forget(system);
    ended.unwrap_or_else(|failure| {
        eprintln!("argiope: {failure}");
        failure.code
    })
}

async fn dispatch(command: Command) -> Result<Code, Failure> {
    use commands::control::{add, order, status};
    use commands::fleet::{self, Wish};
    match command {
        Command::Crawl(args) => return commands::crawl::run(&args).await,
        Command::Verify(args) => return commands::verify::run(&args).await,
        Command::Traps(args) => commands::traps::run(&args)?,
        Command::Index(IndexCommand::Merge { dir, output }) => {
            commands::index::merge(&dir, output.as_ref())?;
        }
        Command::Recrawl(args) => return commands::recrawl::run(&args).await,
        Command::Reopen(args) => commands::reopen::run(&args).await?,
        Command::Shards(args) => commands::shards::run(&args).await?,
        Command::Node(args) => return commands::node::run(&args).await,
        Command::Status(args) => status(&args).await?,
        Command::Doctor(args) => return commands::doctor::run(&args).await,
        Command::Pause(target) => order(&target, Wish::Pause).await?,
        Command::Resume(target) => order(&target, Wish::Resume).await?,
        Command::Stop(target) => order(&target, Wish::Stop).await?,
        Command::Forget(args) => commands::forget::run(&args).await?,
        Command::Add { words, fleet } => add(&words, &fleet).await?,
        Command::Rate(args) => fleet::rate(&args).await?,
        Command::Config(command) => fleet::config(&command).await?,
        Command::Frontier(command) => commands::frontier::run(&command).await?,
        Command::Links(args) => return commands::read::links::run(&args),
        Command::Charset(args) => return commands::read::charset::run(&args),
        Command::Url(command) => return commands::read::url::run(&command),
        Command::Robots(args) => return commands::read::robots::run(&args).await,
        Command::Sitemap(args) => return commands::read::sitemap::run(&args).await,
    }
    Ok(Code::Done)
}
